"""Page and figure of Table 4: seconds per image, beside the paper's."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from reproduce.experiments import Column, Row, TableSpec
from reproduce.tables.figures import axes_file
from reproduce.tables.markdown import CellRun, escape, grid, runs_section
from reproduce.tables.render import Cells, paper_number


class Spread(NamedTuple):
    """Median and quartiles of some numbers."""

    low: float
    median: float
    high: float


def spread(values: Sequence[float]) -> Spread:
    """Median and quartiles, interpolated linearly between the values."""
    return Spread(*np.quantile(values, (0.25, 0.5, 0.75)).tolist())


def methods(spec: TableSpec) -> list[Column]:
    """The columns that are lines of the page; the first is what time is relative to."""
    return [column for column in spec.columns if "timing" not in (column.evaluate or {})]


class Timed:
    """The timing run of a row: that of the first seed which has a record.

    Args:
        spec: The table, one of whose columns has ``evaluate: {timing: ...}``.
        row: The row.
        cells: Runs of the table.
    """

    def __init__(self, spec: TableSpec, row: Row, cells: Cells) -> None:
        lines = methods(spec)
        own = [run for c in spec.columns if c not in lines for run in cells.runs(row, c.key)]
        done = next((run for run in own if run.record is not None), None)
        self.inference: Mapping[str, Any] = done.record["inference"] if done and done.record else {}
        self.note = next((run.note for run in own if run.note), "not run")
        self.mark = " (stale)" if done and cells.stale(row, [done.column]) else ""
        self.first = lines[0].key

    def seconds(self, method: str) -> list[float]:
        """Seconds of each image; empty where they were not measured."""
        measured = self.inference.get("methods", {})
        return list(measured[method]["seconds"]) if method in measured else []

    def relative(self, method: str) -> list[float]:
        """Of each image, its time divided by that with the first method."""
        pairs = zip(self.seconds(method), self.seconds(self.first), strict=True)
        return [a / b for a, b in pairs]


def _digits(value: float) -> str:
    """Three significant digits."""
    return f"{value:.0f}" if value >= 100 else f"{value:#.3g}"


def _spread(value: Spread) -> str:
    return f"{_digits(value.median)} ({_digits(value.low)} to {_digits(value.high)})"


def _line(cells: Cells, timed: Timed, row: Row, column: Column) -> list[str]:
    took = relative = "not run" if timed.inference else timed.note
    if seconds := timed.seconds(column.key):
        took = _spread(spread(seconds)) + timed.mark
        relative = f"×{_spread(spread(timed.relative(column.key)))}{timed.mark}"
    paper_seconds = row.paper_seconds.get(column.key)
    paper_relative = row.paper_relative.get(column.key)
    return [
        column.label,
        took,
        "–" if paper_seconds is None else f"{paper_seconds:.3f}",
        "×1" if seconds and column.key == timed.first else relative,
        "–" if paper_relative is None else f"×{paper_relative:g}",
        cells.ours(row, column),
        paper_number(row, column.key),
    ]


HEAD = ["Method", "s/image, ours", "paper", "relative, ours", "paper", "mIoU, ours", "paper"]
POOL_HEAD = [
    *("Network", "threads + processes", "network alone", "CRFs alone"),
    *("both at once", "in turn", "time of both"),
]


def _pool_line(row: Row, timed: Timed) -> list[str]:
    """Images per second, and both / max(network, CRF)."""
    if not timed.inference:
        return [row.label, *[timed.note] * 6]
    pool = timed.inference["throughput"]
    in_turn = timed.seconds(f"crfs{pool['iterations']}")
    totals = [spread(pool["seconds"][name]).median for name in ("network", "crf", "both")]
    rates = [len(in_turn) / total for total in (*totals, sum(in_turn))]
    return [
        row.label,
        f"{pool.get('threads', '?')} + {pool['workers']}",
        *(f"{_digits(rate)}{timed.mark}" for rate in rates),
        f"×{pool['ratio']:.2f}{timed.mark}",
    ]


def _hardware(timed: Timed) -> str:
    if not timed.inference:
        return ""
    facts, found = timed.inference["hardware"], timed.inference
    sizes = sorted(map(tuple, found["sizes"]), key=lambda size: (size[0] * size[1], size))
    (low, wide), (high, broad) = sizes[0], sizes[-1]
    extent = f"{low}×{wide}" if sizes[0] == sizes[-1] else f"{low}×{wide} to {high}×{broad}"
    return (
        f"Network on {escape(facts['network'])} (threads: {facts['network_threads']}), "
        f"CRFs on {escape(facts['crf'])} (threads: {facts['crf_threads']}), "
        f"{facts['cores']} cores. {found['images']} images of {extent} pixels, "
        f"{found['classes']} classes; "
        f"{found['rounds']} rounds after {found['warmup']} images to warm up."
    )


PAGE = """\
# {title} ({scale} scale)

{about}

{purpose}

Measured in one process and for one image at a time, from the decoded image in memory to its labels
in memory: reading and decoding are left out, copies to and from the device are not. Images go
through all methods in turn; the device is synchronised before each time stamp. *s/image*: median
over images (quartiles), each image with the median of its rounds. *relative*: median over images
(quartiles) of the ratio to {first} on the same image. *mIoU*: percent at the last iterate, mean ±
half-width of the 95 % interval (Student's t) over seeds. The paper's seconds are those of a GTX
1080Ti and an i7-8700: compare ratios, not seconds.

{hardware}

{networks}

![Seconds per image]({name}.svg)

## CRFs beside the network

Beyond the paper: images per second when processes refine images while the network works on the
next. A network on the processor has one thread here, and the CRFs have a process on each core that
is left; each of the two alone has the same. *in turn*: one process, one after another, as above.
*time of both*: that of both at once over that of the slower one alone: ×1 hides the other wholly.

{pool}

{runs}
"""


def render_timing(spec: TableSpec, scale: str, about: str, runs: Sequence[CellRun]) -> str:
    """The whole Markdown page.

    Args:
        spec: Rows, columns and the paper's numbers. Each column is a line of every network's
            table, but the one with ``evaluate: {timing: ...}``: its runs' records have the seconds
            under ``inference`` (:func:`reproduce.postprocess.timing.measure_inference`), by the
            columns' keys.
        scale: Scale of the runs.
        about: What the scale is and how it departs from the paper.
        runs: One per cell and seed; those whose record was made by other code are marked stale.
    """
    cells = Cells(runs)
    timed = {row.key: Timed(spec, row, cells) for row in spec.rows}
    networks = []
    for row in spec.rows:
        lines = [_line(cells, timed[row.key], row, column) for column in methods(spec)]
        networks.append("\n".join([f"## {row.label}", "", *grid(HEAD, lines, "-xxxxxx")]))
    hardware = dict.fromkeys(filter(None, map(_hardware, timed.values())))
    pool = [_pool_line(row, timed[row.key]) for row in spec.rows]
    return PAGE.format(
        title=spec.title,
        scale=scale,
        about=about,
        purpose=spec.about,
        first=methods(spec)[0].label,
        hardware="\n\n".join(hardware) or "Not measured yet.",
        networks="\n\n".join(networks),
        name=spec.name,
        pool="\n".join(grid(POOL_HEAD, pool, "-xxxxxx")),
        runs=runs_section(runs),
    )


#: Marker, colour and name of the dots.
OURS = ("o", "#1f6fb4", "ours, median and quartiles over images")
PAPER = ("D", "#d1495b", "paper, on other hardware")


def _draw_line(axes: Any, place: float, row: Row, timed: Timed, method: str) -> None:  # noqa: ANN401
    """Our dot and the paper's, each with its ratio on the side away from the other."""
    dots = []
    if seconds := timed.seconds(method):
        ratio = spread(timed.relative(method)).median
        dots.append((spread(seconds), f"×{_digits(ratio)}", OURS))
    if paper := row.paper_seconds.get(method):
        printed = row.paper_relative.get(method)
        text = "" if printed is None else f"×{printed:g}"
        dots.append((Spread(paper, paper, paper), text, PAPER))
    for value, text, (marker, color, _) in dots:
        left = len(dots) == 2 and value.median == min(dot[0].median for dot in dots)
        edge = min(dot[0].low for dot in dots) if left else max(dot[0].high for dot in dots)
        width = [[value.median - value.low], [value.high - value.median]]
        error = width if value.low < value.high else None
        axes.errorbar(value.median, place, xerr=error, fmt=marker, color=color, capsize=3)
        axes.annotate(
            text,
            (edge, place),
            (-7 if left else 7, 0),
            textcoords="offset points",
            ha="right" if left else "left",
            va="center",
            color=color,
            fontsize=8,
        )


def draw_timing(spec: TableSpec, scale: str, runs: Sequence[CellRun], path: Path) -> None:
    """Write seconds per image of each network and method as SVG; equal runs give equal files.

    Args:
        spec: The table.
        scale: Scale, for the heading.
        runs: One per cell and seed.
        path: File to write.
    """
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    lines, cells = methods(spec), Cells(runs)
    pitch = len(lines) + 1.4
    ticks: list[float] = []
    with axes_file(path, spec.name, (7, 1.1 + 0.29 * pitch * len(spec.rows))) as axes:
        for group, row in enumerate(spec.rows):
            timed, top = Timed(spec, row, cells), group * pitch
            at = axes.get_yaxis_transform()
            axes.text(0.01, top, row.label, transform=at, fontweight="bold", va="center")
            for place, column in enumerate(lines, 1):
                ticks.append(top + place)
                _draw_line(axes, top + place, row, timed, column.key)
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.margins(x=0.1)
        axes.set_yticks(ticks, [column.label for column in lines] * len(spec.rows))
        axes.set_ylim(pitch * len(spec.rows) - 0.9, -0.7)
        axes.set_xlabel(f"seconds per image, {scale} scale; × relative to {lines[0].label}")
        axes.grid(axis="x", color="0.92")
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
        for marker, color, label in (OURS, PAPER):
            axes.plot([], [], marker, color=color, label=label)
        above = {"loc": "lower left", "bbox_to_anchor": (0, 1), "ncols": 2}
        axes.legend(frameon=False, fontsize=9, **above)
