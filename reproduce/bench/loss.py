"""``reproduce bench loss``: time and memory of losses against cross-entropy."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from reproduce.bench.compare import Shape, measure
from reproduce.bench.contestants import BASE, COMPILED, compiled, contestants
from reproduce.bench.growth import draw_growth, growth_text, measure_growth
from reproduce.bench.report import around_seconds, environment, save, setting
from reproduce.bench.statistics import Around
from reproduce.tables.markdown import grid

#: DeepLab's logits at crop 321, their crop, FCN's crop, Cityscapes, PASCAL-Context.
SHAPES: tuple[Shape, ...] = (
    (10, 21, 41, 41),
    (10, 21, 321, 321),
    (10, 21, 512, 512),
    (4, 19, 512, 1024),
    (10, 60, 512, 512),
)


HEAD = ["Loss", "Time / CE", "Time", "Memory / CE", "with malloc", "Rounds", "Note"]


def _ratio(entry: dict[str, Any], base: dict[str, Any], key: str) -> str:
    ours, theirs = entry.get(key), base.get(key)
    return f"{ours / theirs:.2f}" if ours is not None and theirs else "–"


def _line(entry: dict[str, Any], base: dict[str, Any]) -> list[str]:
    if "seconds" not in entry:
        return [entry["loss"], *["–"] * 4, "0", entry["note"]]
    ratio, seconds = (
        Around(entry[f"{key}_quartiles"][0], entry[key], entry[f"{key}_quartiles"][1])
        for key in ("ratio", "seconds")
    )
    return [
        entry["loss"],
        ratio.text(),
        around_seconds(seconds),
        _ratio(entry, base, "peak_bytes"),
        _ratio(entry, base, "peak_resident"),
        str(entry["rounds"]),
        entry["note"],
    ]


ABOUT = f"""\
Forward and backward, float32, VOC-like labels with void; all in one process, in turn and in an
order drawn anew each round, short ones in blocks of calls that take 20 ms. Medians (quartiles) over
rounds; ratios are taken round by round, to `{BASE}` with its `ignore_index`. *Memory*: the most
that tensors hold at once beyond logits and labels; *with malloc*: of the whole process by the
system's count, so kernels in C are in it (coarse for small shapes)."""


def bench_loss(
    shapes: Sequence[Shape],
    *,
    rounds: int = 9,
    budget: float = 20.0,
    device: torch.device,
    out: Path | None = None,
) -> str:
    """Measure, and write ``bench_loss.md``, ``.json`` and ``.svg`` if a folder is given.

    Args:
        shapes: Of the logits; none: :data:`SHAPES`, and how time grows.
        rounds: Most rounds of each contestant.
        budget: Seconds that a contestant may take at a shape.
        device: Where.
        out: Folder to write to.

    Returns:
        Markdown.
    """
    entries = contestants(device)
    facts = environment(device)
    text = ["# Losses", "", ABOUT, "", setting(facts)]
    results: dict[str, Any] = {"environment": facts, "shapes": [], "growth": {}}
    for shape in shapes or SHAPES:
        fresh = [compiled() if entry.name == COMPILED else entry for entry in entries]
        found = measure(shape, fresh, rounds=rounds, budget=budget, device=device)
        results["shapes"].append({"shape": list(shape), "losses": found})
        text += ["", f"## {'×'.join(map(str, shape))}", ""]
        text += grid(HEAD, [_line(entry, found[0]) for entry in found], "-xxxxx-")
        save("loss", "\n".join(text), results, out)  # the rest takes minutes
    if shapes:
        return "\n".join(text)
    grown = measure_growth(rounds=rounds, budget=budget, device=device)
    results["growth"] = grown
    text += ["", *growth_text(grown, with_picture=out is not None)]
    if out is not None:
        draw_growth(grown, out / "bench_loss.svg")
    return save("loss", "\n".join(text), results, out)
