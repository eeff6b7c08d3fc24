"""What the level set loss adds to a training step (section 4.3)."""

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from reproduce.bench.measure import Step, clock, peak_bytes, peak_resident, race
from reproduce.losses.native import native_kernel
from reproduce.models.module import SegmentationModule
from reproduce.models.optimisation import build_optimiser
from reproduce.runs.machine import hardware

Batch = dict[str, Any]

#: Both contestants, in records and reports.
CROSS_ENTROPY, LEVEL_SET = "cross_entropy", "level_set"


def calibrate(module: SegmentationModule, images: Tensor) -> None:
    """Give batch normalisation, frozen or not, the statistics of a batch.

    With random weights and none of them, activations would grow from block to block, up to
    infinity in a deep trunk.
    """
    norms = [layer for layer in module.modules() if isinstance(layer, nn.BatchNorm2d)]
    before = [layer.momentum for layer in norms]
    module.train()
    for layer in norms:
        layer.momentum = 1.0
        layer.train()
    with torch.no_grad():
        module.outputs(module.normalise(images))
    for layer, momentum in zip(norms, before, strict=True):
        layer.momentum = momentum
    module.train()


def _compare(
    steps: dict[str, Step],
    device: torch.device,
    rounds: int,
    budget: float,
    warmup: int,
    tell: Callable[[int], object] = lambda _: None,
) -> dict[str, Any]:
    """Seconds of every round that both had, and their peak memory.

    Raises:
        RuntimeError: If one of them fails.
    """
    found = race(steps, rounds=rounds, budget=budget, warmup=warmup, now=clock(device), tell=tell)
    if found.problems:
        raise RuntimeError("; ".join(f"{k}: {text}" for k, text in found.problems.items()))
    common = min(map(len, found.seconds.values()))
    return {
        name: {
            "seconds": [round(value, 7) for value in found.seconds[name][:common]],
            "peak_bytes": peak_bytes(lambda step=step: step(0), device),  # type: ignore[misc]
            "peak_resident": (
                peak_resident(lambda step=step: step(0)) if device.type == "cpu" else None  # type: ignore[misc]
            ),
        }
        for name, step in steps.items()
    }


def measure_overhead(
    module: SegmentationModule,
    level_set: nn.Module,
    batches: Sequence[Batch],
    *,
    rounds: int,
    budget: float = math.inf,
    warmup: int = 2,
    tell: Callable[[int], object] = lambda _: None,
) -> dict[str, Any]:
    """Time and memory of a training step with cross-entropy, and with the level set loss too.

    A step is forward, loss, backward and SGD with the recipe's groups, in float32. Both contestants
    share one network and the batches; the learning rate is 0, which takes SGD as long, so that the
    network stays the same. Each round times both, in an order drawn anew.

    Args:
        module: The network; its weights may be random, its batch normalisation is calibrated.
        level_set: ``(logits, target) -> cross-entropy + lam * energy``.
        batches: Batches of equal size as the loaders give them, used one after another.
        rounds: Most rounds.
        budget: Seconds that the steps with one loss may take together, and likewise the losses
            alone; one round is done in any case.
        warmup: Steps of each beforehand, unrecorded.
        tell: Called with the number of rounds done.

    Returns:
        For JSON: ``step`` and ``loss`` (the losses alone on the same logits), each with
        ``cross_entropy`` and ``level_set``: ``seconds`` of each round, ``peak_bytes`` of tensors
        and ``peak_resident`` of the process; ``network``, ``parameters``, ``images`` and ``crop``
        of a batch, ``grids`` of the loss, ``classes``, ``rounds`` of the step, ``warmup``,
        ``kernel`` (on a CPU, whether the loss had its kernel in C) and ``hardware``.

    Raises:
        RuntimeError: If a step fails or its loss is not finite.
    """
    device = module.device
    batches = [
        {**batch, "image": batch["image"].to(device), "mask": batch["mask"].to(device)}
        for batch in batches
    ]
    original = module.criterion
    criteria: dict[str, nn.Module] = {
        CROSS_ENTROPY: nn.CrossEntropyLoss(ignore_index=module.ignore_index),
        LEVEL_SET: level_set,
    }
    calibrate(module, batches[0]["image"])
    still = replace(module.recipe, lr=0.0)
    optimiser, _ = build_optimiser(*module.parts(), still, max(rounds, 1))

    def loss_of(turn: int) -> Tensor:
        return module.training_step(batches[turn % len(batches)], turn)

    def step(criterion: nn.Module, turn: int) -> None:
        module.criterion = criterion
        optimiser.zero_grad()
        torch.autograd.backward(loss_of(turn))
        optimiser.step()

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the module logs without a trainer
        graded: list[list[tuple[Tensor, Tensor]]] = []
        module.criterion = criteria[CROSS_ENTROPY]
        hook = module.criterion.register_forward_pre_hook(
            lambda _, given: graded[-1].append((given[0].detach().requires_grad_(), given[1]))
        )
        for turn in range(len(batches)):
            graded.append([])
            with torch.no_grad():
                value = float(loss_of(turn))
            if not math.isfinite(value):
                raise RuntimeError(f"the loss is {value} before the first step")
        hook.remove()

        def loss_alone(criterion: nn.Module, turn: int) -> None:
            pairs = graded[turn % len(graded)]
            for logits, _ in pairs:
                logits.grad = None
            torch.autograd.backward(torch.stack([criterion(z, t) for z, t in pairs]).sum())

        def both(run: Callable[[nn.Module, int], None]) -> dict[str, Step]:
            return {name: partial(run, criterion) for name, criterion in criteria.items()}

        alone = _compare(both(loss_alone), device, rounds, budget, warmup)
        whole = _compare(both(step), device, rounds, budget, warmup, tell)
    module.criterion = original
    optimiser.zero_grad()
    return {
        "step": whole,
        "loss": alone,
        "network": f"{type(module).__name__} on {type(module.trunk).__name__}",
        "parameters": sum(p.numel() for p in module.parameters()),
        "images": len(batches[0]["image"]),
        "crop": list(batches[0]["image"].shape[-2:]),
        "grids": [list(logits.shape[-2:]) for logits, _ in graded[0]],
        "classes": module.num_classes,
        "rounds": len(whole[LEVEL_SET]["seconds"]),
        "warmup": warmup,
        "kernel": native_kernel() is not None if device.type == "cpu" else None,
        "hardware": hardware(device),
    }
