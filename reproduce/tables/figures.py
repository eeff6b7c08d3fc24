"""Figure of a table: the gains as points with intervals, beside the paper's."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from reproduce.experiments import TableSpec
from reproduce.files import write_atomically
from reproduce.tables.render import CellRun, scores_by_seed
from reproduce.tables.statistics import paired_gain


def draw_gains(spec: TableSpec, scale: str, runs: Sequence[CellRun], path: Path) -> None:
    """Write the picture as SVG; equal runs give equal files.

    Args:
        spec: The table.
        scale: Scale, for the heading.
        runs: One per cell and seed.
        path: File to write.
    """
    import io

    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    ours, base = spec.gain
    settings: Any = {"svg.hashsalt": spec.name, "svg.fonttype": "none", "font.size": 10}
    with mpl.rc_context(settings):
        figure, axes = plt.subplots(figsize=(7, 0.8 + 0.42 * len(spec.rows)), layout="constrained")
        axes.axvline(0, color="0.6", linewidth=1)
        for place, row in enumerate(spec.rows):
            gain = paired_gain(*(scores_by_seed(runs, row.key, column) for column in spec.gain))
            if gain is not None:
                width = gain.half_width or 0
                label = "ours, 95 % interval" if place == 0 else None
                axes.errorbar(
                    gain.mean, place, xerr=width, fmt="o", color="#1f6fb4", capsize=3, label=label
                )
            paper = row.paper[ours] - row.paper[base]
            axes.plot(paper, place, "D", color="#d1495b", label="paper" if place == 0 else None)
        axes.set_yticks(range(len(spec.rows)), [row.label for row in spec.rows])
        axes.invert_yaxis()
        axes.set_xlabel(f"gain in mIoU (points), {scale} scale")
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False, fontsize=9)
        text = io.StringIO()
        figure.savefig(text, format="svg", metadata={"Date": None})
        plt.close(figure)
    write_atomically(path, text.getvalue())
