"""Pictures of figures 4 and 5, and the values behind the first as CSV."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from reproduce.experiments import TableSpec
from reproduce.files import write_atomically
from reproduce.tables.curves import QUANTITIES, Points, over_training, points_of
from reproduce.tables.figures import figure_file
from reproduce.tables.markdown import CellRun

#: Colours of a gain's two columns: that with the level set loss, the baseline.
COLOURS = ("#1f6fb4", "0.45")

#: Rows of figure 5 to colour and style: the paper's own for its three functions.
FUNCTIONS = {
    "mahf": ("black", "-"),
    "ahf_slope_20": ("#d62728", "-"),
    "ahf_20": ("#d62728", ":"),
    "hf": ("#1f3fd0", "-"),
    "hf_straight_through": ("#2a9d6f", "--"),
    "compact": ("#c77700", "--"),
    "compact_narrow": ("#8e5bb5", "--"),
}
#: The three with a band.
BANDS = ("mahf", "ahf_slope_20", "hf")


def smooth(points: Points, reach: int = 2) -> Points:
    """Running mean over ``2 · reach + 1`` points, over fewer at the ends."""
    values = [value for _, value in points]
    return [
        (step, fmean(values[max(i - reach, 0) : i + reach + 1]))
        for i, (step, _) in enumerate(points)
    ]


def mean_line(lines: Sequence[Points]) -> Points:
    """Mean over the lines at every step that all of them have."""
    values = [dict(line) for line in lines]
    steps = sorted(set.intersection(*map(set, values))) if values else []
    return [(step, fmean(value[step] for value in values)) for step in steps]


def _plot(axes: Any, line: Points, **style: Any) -> None:  # noqa: ANN401 - matplotlib's
    if line:
        axes.plot(*zip(*line, strict=True), **style)


def _finish(axes: Any) -> None:  # noqa: ANN401
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color="0.92", linewidth=0.8)
    axes.set_axisbelow(True)
    if not axes.lines:
        axes.text(0.5, 0.5, "no values", ha="center", transform=axes.transAxes)
        axes.set(xticks=[], yticks=[])


def _legend(figure: Any, panels: Any, columns: int) -> None:  # noqa: ANN401
    """One legend above all panels: that of the panel with most lines."""
    found = max((axes.get_legend_handles_labels() for axes in panels), key=lambda h: len(h[1]))
    if found[1]:
        figure.legend(*found, loc="outside upper center", ncols=columns, frameon=False)


def draw_curves(spec: TableSpec, scale: str, runs: Sequence[CellRun], path: Path) -> None:
    """Write figure 4 as SVG: a row of three panels for each network; equal runs give equal files.

    Args:
        spec: Networks, and the columns to compare.
        scale: Scale, for the heading.
        runs: One per cell and seed.
        path: File to write.
    """
    with figure_file(path, spec.name, (10, 0.6 + 2.5 * len(spec.rows))) as figure:
        panels = figure.subplots(len(spec.rows), len(QUANTITIES), squeeze=False)
        for row, line in zip(spec.rows, panels, strict=True):
            for axes, quantity in zip(line, QUANTITIES, strict=True):
                _draw_quantity(axes, spec, row.key, quantity, runs)
            line[0].set_ylabel(row.label, fontsize=10)
        for axes in panels[-1]:
            axes.set_xlabel(f"iteration, {scale} scale")
        _legend(figure, panels.flat, 2)


def _draw_quantity(
    axes: Any,  # noqa: ANN401 - matplotlib's
    spec: TableSpec,
    row: str,
    quantity: str,
    runs: Sequence[CellRun],
) -> None:
    """A panel: losses are smoothed, on a logarithmic axis; validations are marked."""
    loss = quantity != "miou"
    labels = {column.key: column.label for column in spec.columns}
    for key, color in reversed(tuple(zip(spec.gain, COLOURS, strict=True))):
        found = [run.record for run in runs if (run.row, run.column) == (row, key)]
        lines = [points for record in found if (points := points_of(record, quantity))]
        lines = [smooth(points) for points in lines] if loss else lines
        for points in lines:
            _plot(axes, points, color=color, linewidth=0.8, alpha=0.45)
        mean = mean_line(lines)
        marker = None if loss else "o"
        _plot(axes, mean, color=color, linewidth=2, marker=marker, markersize=4, label=labels[key])
    if loss and axes.lines:
        from matplotlib.ticker import LogLocator

        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 1.5, 2, 3, 5, 7)))
        axes.yaxis.set_major_formatter("{x:g}")
        axes.minorticks_off()
    if axes.lines:
        axes.set_xlim(left=0)
    axes.set_title(QUANTITIES[quantity][0], fontsize=10)
    _finish(axes)


def write_curve_data(spec: TableSpec, runs: Sequence[CellRun], path: Path) -> None:
    """Write every value of :func:`draw_curves`, not smoothed, as CSV.

    Args:
        spec: Networks, and the columns to compare.
        runs: One per cell and seed.
        path: File to write.
    """
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["network", "loss", "seed", "quantity", "step", "value"])
    places = {row.key: place for place, row in enumerate(spec.rows)}
    for run in sorted(runs, key=lambda run: (places[run.row], run.column, run.seed)):
        for quantity in QUANTITIES:
            for step, value in points_of(run.record, quantity):
                table.writerow([run.row, run.column, run.seed, quantity, int(step), value])
    write_atomically(path, text.getvalue())


def draw_heaviside(spec: TableSpec, scale: str, runs: Sequence[CellRun], path: Path) -> None:
    """Write figure 5 as SVG: mean mIoU over training, and its second half again, larger.

    Equal runs give equal files.

    Args:
        spec: Rows by Heaviside function.
        scale: Scale, for the heading.
        runs: One per cell and seed.
        path: File to write.
    """
    ours, base = spec.gain
    label = next(column.label for column in spec.columns if column.key == base)
    lines = [(label, base, over_training(runs, spec.rows[0].key, base))]
    lines += [(row.label, row.key, over_training(runs, row.key, ours)) for row in spec.rows]
    last = max((step for *_, values in lines for step in values), default=0)
    with figure_file(path, spec.name, (10, 4.6)) as figure:
        panels = figure.subplots(1, 2)
        for axes, start in zip(panels, (0, last / 2), strict=True):
            for text, key, values in lines:
                color, style = FUNCTIONS.get(key, ("0.55", "--"))
                shown = {step: mious for step, mious in values.items() if step >= start}
                if key in BANDS and shown:
                    low, high = (list(map(pick, shown.values())) for pick in (min, max))
                    axes.fill_between(list(shown), low, high, color=color, alpha=0.1, linewidth=0)
                _plot(
                    axes,
                    [(step, fmean(mious)) for step, mious in shown.items()],
                    color=color,
                    linestyle=style,
                    linewidth=2.0 if key in BANDS else 1.3,
                    marker="o",
                    markersize=3.5 if key in BANDS else 2.5,
                    zorder=2.5 if key == base else 2,  # HF, which trains like it, lies below
                    label=text.partition(" (")[0],
                )
            axes.set_xlabel(f"iteration, {scale} scale")
            _finish(axes)
        panels[0].set_ylabel("mIoU (%)")
        _legend(figure, panels, 4)
