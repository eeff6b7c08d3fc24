"""How the time of the loss grows with classes and with pixels."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from reproduce.bench.compare import measure
from reproduce.bench.contestants import for_growth
from reproduce.bench.report import seconds_text
from reproduce.tables.figures import figure_file
from reproduce.tables.markdown import grid

#: Numbers of classes at (2, C, 256, 256), and sides at (2, 21, S, S).
CLASSES, SIDE = (2, 5, 10, 21, 60, 150), 256
SIDES = (32, 64, 128, 256, 512)


def measure_growth(
    *,
    rounds: int,
    budget: float,
    device: torch.device,
) -> dict[str, list[dict[str, Any]]]:
    """Results by what grows, ``classes`` or ``pixels``: a list of ``at`` and ``losses``."""
    shapes = {
        "classes": {count: (2, count, SIDE, SIDE) for count in CLASSES},
        "pixels": {side**2: (2, 21, side, side) for side in SIDES},
    }
    entries = for_growth(device)
    return {
        what: [
            {
                "at": at,
                "losses": measure(
                    shape, entries, rounds=rounds, budget=budget, device=device, memory=False
                ),
            }
            for at, shape in along.items()
        ]
        for what, along in shapes.items()
    }


TITLES = {
    "classes": "Growth with classes, logits 2×C×256×256",
    "pixels": "Growth with pixels, logits 2×21×S×S",
}


def growth_text(
    grown: Mapping[str, Sequence[Mapping[str, Any]]], *, with_picture: bool
) -> list[str]:
    """Lines of Markdown: median time of cross-entropy, and the others' ratios to it."""
    text = []
    for what, points in grown.items():
        names = [entry["loss"] for entry in points[0]["losses"]]
        lines = []
        for point in points:
            first, *others = point["losses"]
            ratios = [f"{entry['ratio']:.2f}" if "ratio" in entry else "–" for entry in others]
            lines.append([str(point["at"]), seconds_text(first["seconds"]), *ratios])
        head = [f"{what.capitalize()}", names[0], *(f"{name} / CE" for name in names[1:])]
        text += [f"## {TITLES[what]}", "", *grid(head, lines, "x" * len(head)), ""]
    return [*text, "![Growth](bench_loss.svg)"] if with_picture else text[:-1]


def draw_growth(grown: Mapping[str, Sequence[Mapping[str, Any]]], path: Path) -> None:
    """Write median seconds over classes and over pixels as SVG, both axes logarithmic."""
    with figure_file(path, "growth", (9, 3.6)) as figure:
        for axes, (what, points) in zip(figure.subplots(1, 2), grown.items(), strict=True):
            for place, entry in enumerate(points[0]["losses"]):
                found = [
                    (point["at"], point["losses"][place]["seconds"])
                    for point in points
                    if "seconds" in point["losses"][place]
                ]
                if found:
                    axes.loglog(*zip(*found, strict=True), "o-", markersize=4, label=entry["loss"])
            places = [point["at"] for point in points]
            axes.set_xticks(places, [str(at) for at in places])
            axes.set_xticks([], minor=True)
            axes.set_xlabel(what if what == "classes" else "pixels of an image")
            axes.set_ylabel("seconds, forward and backward")
            axes.set_title(TITLES[what], fontsize=9)
            axes.grid(color="0.92", which="both")
            axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False, fontsize=8)
