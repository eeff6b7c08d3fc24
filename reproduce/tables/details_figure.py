"""Figure of the details: IoU by distance to the contour, recall and IoU by size of object."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from reproduce.experiments import TableSpec
from reproduce.metrics.bootstrap import Interval
from reproduce.metrics.trimap import TRIMAP_WIDTHS
from reproduce.tables.details import (
    BANDS,
    IOU,
    RECALL,
    SIZES,
    WHOLE,
    Network,
    areas,
    methods,
    read_networks,
)
from reproduce.tables.figures import figure_file
from reproduce.tables.markdown import CellRun


class Style(NamedTuple):
    """How a method is drawn: told apart by colour, marker and dashes.

    Attributes:
        color: Of Okabe & Ito's palette, which is safe for the colour-blind.
        marker: Marker.
        line: Dashes.
    """

    color: str
    marker: str
    line: str


#: In the order of :func:`reproduce.tables.details.methods`.
STYLES = (
    Style("#4d4d4d", "o", "--"),
    Style("#0072b2", "s", "-"),
    Style("#d55e00", "^", ":"),
    Style("#009e73", "D", "-."),
)
#: Where the whole image stands on the axis of widths, in pixels.
END = 2.6 * TRIMAP_WIDTHS[-2]
#: Gap between methods side by side: by size of object, and in octaves of width.
STEP, OCTAVES = 0.2, 0.28
TITLES = ("mIoU within w px of a contour", "recall by area of object", "IoU by area of object")


def _styles(spec: TableSpec) -> dict[str, Style]:
    """Style by column; those beyond the number of styles are not drawn."""
    return {c.key: style for c, style in zip(methods(spec), STYLES, strict=False)}


def _points(
    axes: Any,  # noqa: ANN401
    at: Sequence[float],
    interval: Interval,
    places: slice,
    style: Style,
) -> None:
    """Scores with their intervals."""
    value, low, high = (end[places] for end in interval)
    axes.vlines(at, low, high, color=style.color, lw=1.6)
    axes.plot(at, value, linestyle="", color=style.color, marker=style.marker, markersize=5)


def _curve(axes: Any, interval: Interval, style: Style) -> None:  # noqa: ANN401
    """Scores over the widths, shaded between the ends of their intervals."""
    value, low, high = (end[BANDS] for end in interval)
    widths = TRIMAP_WIDTHS[:-1]
    axes.fill_between(widths, low, high, color=style.color, alpha=0.15, lw=0)
    look = {"color": style.color, "marker": style.marker, "markersize": 4}
    axes.plot(widths, value, linestyle=style.line, lw=1.5, **look)


def _prepare(panels: Sequence[Any], network: Network, last: bool) -> None:
    """Axes and labels of a row of panels."""
    bands, *sizes = panels
    bands.set_xscale("log", base=2)
    bands.set_xlim(TRIMAP_WIDTHS[0] / 1.25, END * 1.6)
    names = [*(f"{width:g}" for width in TRIMAP_WIDTHS[:-1]), "whole\nimage"]
    bands.set_xticks([*TRIMAP_WIDTHS[:-1], END], names)
    bands.tick_params(axis="x", which="minor", length=0)
    bands.axvline(TRIMAP_WIDTHS[-2] * 1.5, color="0.85", lw=1)
    bands.set_ylabel(f"{network.row.label}\n%")
    if last:
        bands.set_xlabel("w, px on either side")
    for panel in sizes:
        if last:
            panel.set_xlabel("area, px")
        limits = areas(network.content.edges)
        names = [f"{size}\n{limit}" for size, limit in zip(SIZES, limits, strict=True)]
        panel.set_xticks(range(len(SIZES)), names)
        panel.set_xlim(-0.6, len(SIZES) - 0.4)
        panel.set_ylim(0, 100)
    for panel in panels:
        panel.grid(axis="y", color="0.92", lw=0.8)
        panel.set_axisbelow(True)
        panel.spines[["top", "right"]].set_visible(False)


def _draw_network(panels: Sequence[Any], spec: TableSpec, network: Network, last: bool) -> None:
    """A row of panels."""
    _prepare(panels, network, last)
    styles = _styles(spec)
    present = [c.key for c in spec.columns if c.key in styles and network.row.has(c)]
    found = {key: network.interval(key) for key in present}
    for number, (key, interval) in enumerate(found.items()):
        if interval is None:
            continue
        aside = number - (len(present) - 1) / 2
        _curve(panels[0], interval, styles[key])
        at = [END * 2 ** (OCTAVES * aside)]
        _points(panels[0], at, interval, slice(WHOLE, WHOLE + 1), styles[key])
        for panel, places in zip(panels[1:], (RECALL, IOU), strict=True):
            where = [size + STEP * aside for size in range(len(SIZES))]
            _points(panel, where, interval, places, styles[key])
    if not any(found.values()):
        for panel in panels:
            panel.set_yticks([])
            panel.text(0.5, 0.5, "not run", transform=panel.transAxes, ha="center", color="0.4")


def draw_details(spec: TableSpec, scale: str, runs: Sequence[CellRun], path: Path) -> None:
    """Write the picture as SVG; equal runs give equal files.

    Args:
        spec: The table; every row is a row of panels.
        scale: Scale, for the heading.
        runs: One per cell and seed; records hold ``details``.
        path: File to write.
    """
    networks = read_networks(spec, runs)
    with figure_file(path, spec.name, (10, 1.1 + 2.4 * len(networks))) as figure:
        from matplotlib.lines import Line2D

        grid = figure.subplots(len(networks), 3, squeeze=False, width_ratios=(1.6, 1, 1))
        for panels, network in zip(grid, networks, strict=True):
            _draw_network(panels, spec, network, last=network is networks[-1])
        for panel, title in zip(grid[0], TITLES, strict=True):
            panel.set_title(title, fontsize=10)
        styles = _styles(spec)
        handles = []
        for column in spec.columns:
            if column.key in styles:
                color, marker, line = styles[column.key]
                look: Any = {"color": color, "marker": marker, "linestyle": line}
                handles.append(Line2D([], [], label=column.label, **look))
        heading = f"{scale} scale, 95 % intervals over images"
        figure.legend(
            handles=handles,
            title=heading,
            loc="outside upper center",
            ncols=len(handles),
            frameon=False,
        )
