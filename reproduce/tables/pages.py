"""Kinds of pages: how a table's runs become Markdown and pictures."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from reproduce.experiments import TableSpec
from reproduce.tables.curves import render_curves, render_heaviside
from reproduce.tables.curves_figure import draw_curves, draw_heaviside, write_curve_data
from reproduce.tables.details import render_details
from reproduce.tables.details_figure import draw_details
from reproduce.tables.figures import draw_gains, draw_sensitivity
from reproduce.tables.markdown import CellRun
from reproduce.tables.overhead import draw_overhead, render_overhead
from reproduce.tables.render import render
from reproduce.tables.timing import draw_timing, render_timing

Runs = Sequence[CellRun]


class Page(NamedTuple):
    """A kind of page.

    Attributes:
        render: Of specification, scale, what the scale is, and runs: the Markdown.
        draw: Of specification, scale, runs and the folder to write pictures into.
    """

    render: Callable[[TableSpec, str, str, Runs], str]
    draw: Callable[[TableSpec, str, Runs, Path], None]


def _draw_scores(spec: TableSpec, scale: str, runs: Runs, folder: Path) -> None:
    draw_gains(spec, scale, runs, folder / f"{spec.name}.svg")
    if spec.sensitivity:
        draw_sensitivity(spec, scale, runs, folder / f"{spec.name}_sensitivity.svg")


def _draw_details(spec: TableSpec, scale: str, runs: Runs, folder: Path) -> None:
    draw_details(spec, scale, runs, folder / f"{spec.name}.svg")


def _draw_timing(spec: TableSpec, scale: str, runs: Runs, folder: Path) -> None:
    draw_timing(spec, scale, runs, folder / f"{spec.name}.svg")


def _draw_overhead(spec: TableSpec, scale: str, runs: Runs, folder: Path) -> None:
    draw_overhead(spec, scale, runs, folder / f"{spec.name}.svg")


def _draw_curves(spec: TableSpec, scale: str, runs: Runs, folder: Path) -> None:
    draw_curves(spec, scale, runs, folder / f"{spec.name}.svg")
    write_curve_data(spec, runs, folder / f"{spec.name}.csv")


def _draw_heaviside(spec: TableSpec, scale: str, runs: Runs, folder: Path) -> None:
    _draw_scores(spec, scale, runs, folder)
    draw_heaviside(spec, scale, runs, folder / f"{spec.name}_training.svg")


PAGES: Mapping[str, Page] = {
    "scores": Page(render, _draw_scores),
    "details": Page(render_details, _draw_details),
    "timing": Page(render_timing, _draw_timing),
    "overhead": Page(render_overhead, _draw_overhead),
    "curves": Page(render_curves, _draw_curves),
    "heaviside": Page(render_heaviside, _draw_heaviside),
}
