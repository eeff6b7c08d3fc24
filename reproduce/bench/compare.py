"""Forward and backward of losses on the same logits, in turn."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from reproduce.bench.contestants import COMPILED, Contestant, Loss
from reproduce.bench.measure import clock, peak_bytes, peak_resident, race
from reproduce.bench.statistics import quartiles
from reproduce.bench.targets import voc_like_target

Shape = tuple[int, int, int, int]

#: Seconds that one measurement lasts at least. A single call of half a millisecond would mostly
#: measure what the contestant before it left in the caches, its own Python code included.
BLOCK = 0.02


class _Block:
    """As many calls of a step as take :data:`BLOCK`; the first time it finds out how many."""

    def __init__(self, step: Callable[[], None], now: Callable[[], float]) -> None:
        self.step, self.now = step, now
        self.calls = 0

    def __call__(self, _: int) -> None:
        for _ in range(max(self.calls, 1)):
            self.step()
        if not self.calls:
            start = self.now()
            self.step()
            self.calls = max(round(BLOCK / max(self.now() - start, 1e-6)), 1)


def inputs(shape: Shape, device: torch.device) -> tuple[Tensor, Tensor]:
    """Random logits that want a gradient, and VOC-like labels."""
    generator = torch.Generator().manual_seed(1)
    logits = torch.randn(shape, generator=generator).to(device).requires_grad_()
    batch, classes, height, width = shape
    return logits, voc_like_target(batch, classes, height, width).to(device)


def _free_bytes(device: torch.device) -> int:
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    try:
        lines = Path("/proc/meminfo").read_text(encoding="utf-8").splitlines()
        return next(int(x.split()[1]) * 1024 for x in lines if x.startswith("MemAvailable"))
    except (OSError, StopIteration):
        return 2**62


def _no_room(loss: Loss, shape: Shape, device: torch.device) -> str:
    """Why a loss had better not run at a shape, judged by its memory at a small one."""
    small = (1, shape[1], min(shape[2], 64), min(shape[3], 64))
    logits, target = inputs(small, device)
    once = peak_bytes(lambda: torch.autograd.backward(loss(logits, target)), device)
    needed = once * (shape[0] * shape[2] * shape[3]) / (small[2] * small[3])
    if needed < 0.8 * _free_bytes(device):
        return ""
    return f"needs about {needed / 2**30:.0f} GiB"


def measure(
    shape: Shape,
    entries: Sequence[Contestant],
    *,
    rounds: int,
    budget: float,
    device: torch.device,
    memory: bool = True,
) -> list[dict[str, Any]]:
    """Forward and backward of every contestant, in turn.

    Args:
        shape: ``(B, C, H, W)`` of the logits.
        entries: The contestants, the first of which is the measure of all.
        rounds: Most rounds of each after one to warm up.
        budget: Seconds that each may take in all its rounds.
        device: Where.
        memory: Whether memory is measured, too.

    Returns:
        Per contestant ``loss``, ``rounds``, ``note`` and, if it ran, ``seconds`` of a call and
        their ``ratio``, each the median, with their ``_quartiles``; ``peak_bytes`` of its tensors
        and ``peak_resident`` of the process (``None`` on an accelerator). Ratios are taken round
        by round.
    """
    logits, target = inputs(shape, device)

    def run(loss: Loss) -> None:
        logits.grad = None
        torch.autograd.backward(loss(logits, target))

    notes = {entry.name: entry.note for entry in entries}
    losses: dict[str, Loss] = {}
    for name, loss, _ in entries:
        if loss is not None and name != COMPILED and (reason := _no_room(loss, shape, device)):
            notes[name] = reason
        elif loss is not None:
            losses[name] = loss
    now = clock(device)
    blocks = {name: _Block(partial(run, loss), now) for name, loss in losses.items()}
    seconds, problems = race(blocks, rounds=rounds, budget=budget, now=now)
    seconds = {name: [s / blocks[name].calls for s in taken] for name, taken in seconds.items()}
    results = []
    for name, note in notes.items():
        taken = seconds.get(name, [])
        entry: dict[str, Any] = {
            "loss": name,
            "rounds": len(taken),
            "note": problems.get(name, note),
        }
        if taken:
            # Who goes slower than the measure has fewer rounds, always the first ones.
            pairs = zip(taken, seconds[entries[0].name], strict=False)
            for key, values in (("seconds", taken), ("ratio", [a / b for a, b in pairs])):
                low, entry[key], high = quartiles(values)
                entry[f"{key}_quartiles"] = [low, high]
        if taken and memory:
            logits.grad = None
            entry["peak_bytes"] = peak_bytes(lambda loss=losses[name]: run(loss), device)  # type: ignore[misc]
            logits.grad = None
            on_cpu = device.type == "cpu"
            entry["peak_resident"] = (
                peak_resident(lambda loss=losses[name]: run(loss)) if on_cpu else None  # type: ignore[misc]
            )
        results.append(entry)
    return results
