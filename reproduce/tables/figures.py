"""Figures of a table: gains with intervals beside the paper's, and how they depend on λ and ε."""

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from PIL import Image

from reproduce.experiments import TableSpec
from reproduce.files import write_atomically
from reproduce.tables.markdown import CellRun, scores_by_seed
from reproduce.tables.render import paper_gain
from reproduce.tables.statistics import paired_gain

#: Pixels per inch, and colours, of figures as PNG.
DPI, SHADES = 110, 64


@contextmanager
def figure_file(path: Path, salt: str, size: tuple[float, float]) -> Iterator[Any]:
    """A new figure, which is written afterwards; equal pictures give equal files.

    Args:
        path: File to write: SVG, or PNG if its name says so.
        salt: Part of the names inside the file.
        size: Width and height in inches.
    """
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    settings: Any = {"svg.hashsalt": salt, "svg.fonttype": "none", "font.size": 10}
    with mpl.rc_context(settings):
        figure = plt.figure(figsize=size, layout="constrained")
        yield figure
        stream = io.BytesIO()
        if path.suffix == ".png":
            figure.savefig(stream, format="png", dpi=DPI)
        else:
            figure.savefig(stream, format="svg", metadata={"Date": None})
        plt.close(figure)
    content = stream.getvalue()
    if path.suffix == ".png":
        content = png_bytes(Image.open(stream).convert("RGB").quantize(SHADES))
    write_atomically(path, content)


def png_bytes(image: Image.Image) -> bytes:
    """A picture as a small PNG."""
    stream = io.BytesIO()
    image.save(stream, "PNG", optimize=True)
    return stream.getvalue()


@contextmanager
def axes_file(path: Path, salt: str, size: tuple[float, float]) -> Iterator[Any]:
    """The axes of a :func:`figure_file` that has one panel."""
    with figure_file(path, salt, size) as figure:
        yield figure.subplots()


def draw_gains(spec: TableSpec, scale: str, runs: Sequence[CellRun], path: Path) -> None:
    """Write the picture as SVG; equal runs give equal files.

    Args:
        spec: The table.
        scale: Scale, for the heading.
        runs: One per cell and seed.
        path: File to write.
    """
    with axes_file(path, spec.name, (7, 0.8 + 0.42 * len(spec.rows))) as axes:
        axes.axvline(0, color="0.6", linewidth=1)
        for place, row in enumerate(spec.rows):
            gain = paired_gain(*(scores_by_seed(runs, row.key, column) for column in spec.gain))
            if gain is not None:
                width = gain.half_width or 0
                style: Any = {"fmt": "o", "color": "#1f6fb4", "capsize": 3}
                axes.errorbar(gain.mean, place, xerr=width, label="ours, 95 % interval", **style)
            if (paper := paper_gain(spec, row)) is not None:
                axes.plot(paper, place, "D", color="#d1495b", label="paper")
        axes.set_yticks(range(len(spec.rows)), [row.label for row in spec.rows])
        axes.set_ylim(len(spec.rows) - 0.4, -0.6)
        axes.set_xlabel(f"gain in mIoU (points), {scale} scale")
        axes.spines[["top", "right"]].set_visible(False)
        handles, labels = axes.get_legend_handles_labels()
        if once := dict(zip(labels, handles, strict=True)):
            axes.legend(once.values(), once.keys(), frameon=False, fontsize=9)


def draw_sensitivity(spec: TableSpec, scale: str, runs: Sequence[CellRun], path: Path) -> None:
    """Write the mean gain at every measured (λ, ε) as SVG.

    Args:
        spec: The table.
        scale: Scale, for the heading.
        runs: One per cell and seed; λ and ε are those of their records.
        path: File to write.
    """
    gains: dict[tuple[float, float], float] = {}
    for row in spec.sensitivity:
        gain = paired_gain(*(scores_by_seed(runs, row.key, column) for column in spec.gain))
        trained = [
            r.record for r in runs if r.record and (r.row, r.column) == (row.key, spec.gain[0])
        ]
        if gain is not None:
            options = trained[0]["config"]["trainer"]["callbacks"][0]["init_args"]
            gains[options["lam"], options["eps"]] = gain.mean
    lams, widths = (sorted({key[i] for key in gains}) for i in (0, 1))
    size = (2.2 + 1.1 * len(widths), 1.4 + 0.6 * len(lams))
    with axes_file(path, spec.name, size) as axes:
        grid = [[gains.get((lam, eps), float("nan")) for eps in widths] for lam in lams]
        if gains:
            limit = max(*map(abs, gains.values()), 1e-9)
            axes.imshow(grid, cmap="RdBu", vmin=-limit, vmax=limit, aspect="auto")
        for (lam, eps), value in gains.items():
            strong = abs(value) > 0.6 * limit
            axes.text(
                widths.index(eps),
                lams.index(lam),
                f"{value:+.2f}",
                ha="center",
                va="center",
                color="white" if strong else "black",
            )
        axes.set_xticks(range(len(widths)), [f"{eps:g}" for eps in widths])
        axes.set_yticks(range(len(lams)), [f"{lam:g}" for lam in lams])
        axes.set_xlabel("ε")
        axes.set_ylabel("λ")
        axes.set_title(f"mean gain in mIoU, {spec.rows[0].arch}, {scale} scale", fontsize=9)
