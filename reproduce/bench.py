"""Time and memory of the loss against cross-entropy, as ratios measured in one process."""

import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.profiler import ProfilerActivity, profile

from reproduce.files import write_atomically
from reproduce.losses import CrossEntropyLevelSetLoss, level_set_energy

Step = Callable[[Tensor, Tensor], Tensor]

#: The paper's weight and width.
LAM, EPS = 4e-4, 1 / 20


def naive_energy(logits: Tensor, target: Tensor, eps: float = EPS) -> Tensor:
    """Eq. (4)-(6) as they are written, class by class, mean over the batch."""
    total = logits.new_zeros(())
    probability = logits.softmax(1)
    for p, truth in zip(probability, target, strict=True):
        valid = truth != 255
        for label in truth[valid].unique():
            g = (truth[valid] == label).to(logits.dtype)
            h = 0.5 * (1 + torch.tanh((p[label][valid] - 0.5) / eps))
            c1 = (g * h).sum() / h.sum()
            c2 = (g * (1 - h)).sum() / (1 - h).sum()
            total = total + ((g - c1) ** 2 * h).sum() + ((g - c2) ** 2 * (1 - h)).sum()
    return total / len(logits)


def contestants() -> dict[str, Step]:
    """Losses by name; the first is the measure of all."""
    fused = CrossEntropyLevelSetLoss(LAM, EPS)

    def cross_entropy(z: Tensor, t: Tensor) -> Tensor:
        return F.cross_entropy(z, t, ignore_index=255)

    return {
        "F.cross_entropy": cross_entropy,
        "CE + LS, fused": fused,
        "CE + LS, closed form": lambda z, t: (
            cross_entropy(z, t) + LAM * level_set_energy(z, t, eps=EPS).mean()
        ),
        "CE + LS, formulas as written": lambda z, t: cross_entropy(z, t) + LAM * naive_energy(z, t),
    }


def voc_like_target(batch: int, num_classes: int, height: int, width: int) -> Tensor:
    """Background with two objects and a void border in each image, as in VOC."""
    generator = torch.Generator().manual_seed(0)
    target = torch.zeros(batch, height, width, dtype=torch.long)
    for mask in target:
        for _ in range(2):
            label = int(torch.randint(1, max(num_classes, 2), (), generator=generator))
            top = int(torch.randint(0, height // 2 + 1, (), generator=generator))
            left = int(torch.randint(0, width // 2 + 1, (), generator=generator))
            box = mask[top : top + height // 2, left : left + width // 2]
            box[:] = 255
            box[2:-2, 2:-2] = min(label, num_classes - 1)
    return target


def peak_bytes(step: Callable[[], None]) -> int:
    """Most memory that a step holds at once beyond what it began with, by torch's profiler."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        step()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "trace.json"
        profiler.export_chrome_trace(str(path))
        events = json.loads(path.read_text(encoding="utf-8"))["traceEvents"]
    changes = sorted(
        ((event["ts"], event["args"]["Bytes"]) for event in events if event["name"] == "[memory]"),
        key=lambda change: change[0],
    )
    held = peak = 0
    for _, change in changes:
        held += change
        peak = max(peak, held)
    return int(peak)


def measure(shape: tuple[int, int, int, int], rounds: int) -> list[dict[str, Any]]:
    """Forward and backward of every contestant, interleaved.

    Args:
        shape: ``(B, C, H, W)`` of the logits.
        rounds: Repetitions after one to warm up.

    Returns:
        Per contestant: name, median seconds, quartiles and peak bytes, and the median of the
        per-round ratios of time to cross-entropy.
    """
    batch, num_classes, height, width = shape
    target = voc_like_target(batch, num_classes, height, width)
    generator = torch.Generator().manual_seed(1)
    logits = torch.randn(shape, generator=generator).requires_grad_()

    def run(loss: Step) -> None:
        logits.grad = None
        torch.autograd.backward(loss(logits, target))

    losses = contestants()
    seconds: dict[str, list[float]] = {name: [] for name in losses}
    for turn in range(rounds + 1):
        for name, loss in losses.items():
            start = time.perf_counter()
            run(loss)
            if turn:
                seconds[name].append(time.perf_counter() - start)
    first = next(iter(losses))
    results = []
    for name, loss in losses.items():
        ratios = [a / b for a, b in zip(seconds[name], seconds[first], strict=True)]
        low, _, high = statistics.quantiles(ratios, n=4) if len(ratios) > 1 else [ratios[0]] * 3
        logits.grad = None
        results.append(
            {
                "loss": name,
                "seconds": statistics.median(seconds[name]),
                "ratio": statistics.median(ratios),
                "ratio_quartiles": [low, high],
                "peak_bytes": peak_bytes(lambda loss=loss: run(loss)),  # type: ignore[misc]
            }
        )
    return results


def bench_loss(shape: tuple[int, int, int, int], rounds: int, out: Path | None) -> str:
    """Measure, and write ``bench_loss.md`` and ``.json`` if a folder is given.

    Returns:
        Markdown.
    """
    results = measure(shape, rounds)
    base = results[0]["peak_bytes"]
    setting = f"{torch.get_num_threads()} threads, torch {torch.__version__}"
    lines = [
        f"Forward and backward, logits {shape}, VOC-like labels, {setting}.",
        f"Medians and quartiles of {rounds} interleaved rounds.",
        "",
        "| Loss | Time / cross-entropy | Seconds | Peak memory / cross-entropy |",
        "| --- | ---: | ---: | ---: |",
    ]
    for entry in results:
        low, high = entry["ratio_quartiles"]
        lines.append(
            f"| {entry['loss']} | {entry['ratio']:.2f} ({low:.2f} to {high:.2f}) "
            f"| {entry['seconds']:.4f} | {entry['peak_bytes'] / base:.2f} |"
        )
    text = "\n".join(lines)
    if out is not None:
        write_atomically(out / "bench_loss.md", text + "\n")
        write_atomically(out / "bench_loss.json", json.dumps(results, indent=1) + "\n")
    return text
