"""Figures that the tables draw as SVG, as PNG too: curves, Heaviside functions, contours, λ and ε.

The SVG stays where its table has it; it is not drawn again.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from reproduce.errors import UserError
from reproduce.experiments import REPOSITORY, TableSpec
from reproduce.figures.figure import Figure, absent, code_of, digest
from reproduce.runs.record import dump_record
from reproduce.tables.curves_figure import draw_curves, draw_heaviside
from reproduce.tables.details_figure import draw_details
from reproduce.tables.driver import committed_cells
from reproduce.tables.figures import draw_sensitivity
from reproduce.tables.markdown import CellRun

Draw = Callable[[TableSpec, str, Sequence[CellRun], Path], None]

LOSS_CODE = (
    "reproduce.tables.loss_figure",
    "reproduce.losses.heaviside",
    "reproduce.losses.level_set",
)


class Plot(NamedTuple):
    """A figure of a table.

    Attributes:
        table: The table.
        key: Name of its SVG beside the table.
        section: Heading.
        title: What it shows.
        draw: The table's own function.
    """

    table: str
    key: str
    section: str
    title: str
    draw: Draw


FIGURE_5 = "Figure 5: Heaviside functions"

PLOTS = (
    Plot(
        "curves",
        "curves",
        "Figure 4: losses and mIoU over training",
        "Cross-entropy, energy and mIoU by iteration; thin: a seed, thick: the mean.",
        draw_curves,
    ),
    Plot(
        "heaviside",
        "heaviside_training",
        FIGURE_5,
        "mIoU by iteration; right: the second half again, larger.",
        draw_heaviside,
    ),
    Plot(
        "details",
        "details",
        "Contours and sizes of objects",
        "IoU by distance to the contour (trimap), recall and IoU by area of object.",
        draw_details,
    ),
    Plot(
        "ablations",
        "ablations_sensitivity",
        "λ and ε",
        "Mean gain in mIoU by λ and ε.",
        draw_sensitivity,
    ),
)


def _check_svg(svg: Path, command: str) -> None:
    if not svg.is_file():
        raise UserError(f"no {svg}: {command}")


def plot_figure(plot: Plot, tables: Path, scale: str, out: Path) -> Figure:
    """A table's figure.

    Args:
        plot: Which.
        tables: Folder of the tables.
        scale: Scale.
        out: Folder of the figures.
    """
    index = tables / scale / f"{plot.table}.json"
    svg, png = index.with_name(f"{plot.key}.svg"), out / f"{plot.key}.png"
    source = f"make {plot.table} SCALE={scale}"
    if not index.is_file():
        problem = f"{plot.section}: no {index}"
        return absent(plot.key, plot.section, plot.title, (svg, png), source, problem)
    _, spec, runs = committed_cells(index)

    def draw() -> None:
        again = f"reproduce table {plot.table} --scale {scale} --no-train"
        _check_svg(svg, f"{again} draws it")
        plot.draw(spec, scale, runs, png)

    done = {run.id: run for run in runs if run.record is not None}
    records = [dump_record(dict(run.record or {})) for run in done.values()]
    labels = [row.label for row in spec.rows]
    code = code_of(plot.draw.__module__, "reproduce.tables.figures")
    inputs = digest(scale, labels, records, code)
    return Figure(
        plot.key, plot.section, plot.title, inputs, svg, png, draw, source, runs=list(done)
    )


def loss_figure(out: Path) -> Figure:
    """The functions themselves, which no run is needed for."""
    svg, png = REPOSITORY / "docs" / "images" / "loss.svg", out / "loss.png"

    def draw() -> None:
        from reproduce.tables.loss_figure import draw_loss

        _check_svg(svg, "python -m reproduce.tables.loss_figure draws it")
        draw_loss(png)

    title = "The functions and their derivatives; the energy and its gradient beside cross-entropy."
    caption = "Computed by the functions that train, without a run."
    inputs = digest(code_of(*LOSS_CODE))
    return Figure("loss", FIGURE_5, title, inputs, svg, png, draw, caption=caption)
