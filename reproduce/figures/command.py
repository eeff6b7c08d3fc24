"""``reproduce figures``: draw what is stale, and write the page of all figures."""

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from reproduce.errors import UserError
from reproduce.experiments import read_table
from reproduce.figures.figure import Figure
from reproduce.figures.index import render_index
from reproduce.figures.plots import PLOTS, loss_figure, plot_figure
from reproduce.figures.rows import Place, row_figures
from reproduce.files import read_json, write_atomically
from reproduce.runs.plan import scale_about
from reproduce.runs.store import check_writable
from reproduce.tables.driver import committed_cells

#: Tables whose rows are shown by images.
PICTURED = ("table1",)

#: Files beside the figures: what they were drawn from, and the page.
MANIFEST, INDEX = "figures.json", "figures.md"


@dataclass(frozen=True)
class Request:
    """What was asked for.

    Attributes:
        scale: Scale.
        tables: Folder of the tables, which name the runs.
        runs: Folder of the runs, whose checkpoints label the images.
        data: Root of the data set; ``None``: generated data in ``data/NAME``.
        out: Folder of the figures; ``None``: ``figures`` beside the tables of the scale.
    """

    scale: str
    tables: Path
    runs: Path
    data: Path | None = None
    out: Path | None = None

    @property
    def folder(self) -> Path:
        """Folder of the figures."""
        return self.out or self.tables / self.scale / "figures"


def read_known(folder: Path) -> dict[str, str]:
    """Inputs of the figures in a folder, by key."""
    path = folder / MANIFEST
    return dict(read_json(path)["figures"]) if path.is_file() else {}


def collect(request: Request, known: Mapping[str, str]) -> list[Figure]:
    """All figures of a scale, in the order of the page.

    Raises:
        UserError: If the scale has no tables.
    """
    folder = request.tables / request.scale
    if not list(folder.glob("*.json")):
        raise UserError(
            f"no tables in {folder}: make table1 SCALE={request.scale} writes the first"
        )
    place = Place(request.scale, request.runs, request.data, request.folder, known)
    pairs: list[tuple[Figure, Figure]] = []
    for name in PICTURED:
        index = folder / f"{name}.json"
        runs = committed_cells(index)[2] if index.is_file() else []
        pairs += row_figures(place, read_table(name, request.scale), runs)
    plots = [plot_figure(plot, request.tables, request.scale, request.folder) for plot in PLOTS]
    found = [*(a for a, _ in pairs), *(b for _, b in pairs), *plots, loss_figure(request.folder)]
    order = list(dict.fromkeys(figure.section for figure in found))
    return sorted(found, key=lambda figure: order.index(figure.section))


def page_of(request: Request, figures: list[Figure], known: Mapping[str, str]) -> str:
    """The page of all figures as Markdown."""
    return render_index(request.scale, scale_about(request.scale), figures, known, request.folder)


def make_figures(request: Request) -> int:
    """Draw what is missing or stale.

    Returns:
        Exit status: 0, or 1 if a figure could not be drawn; the others are there.

    Raises:
        UserError: If the scale has no tables, or the folder cannot be written.
    """
    known = read_known(request.folder)
    figures = collect(request, known)
    check_writable(request.folder)
    drawn, problems = 0, []
    for figure in figures:
        if figure.state(known) == "fresh":
            continue
        try:
            figure.draw()
        except UserError as error:
            problems.append(str(error))
            continue
        known[figure.key] = figure.inputs
        drawn += 1
        print(f"{figure.key} drawn", flush=True)
    keys = {figure.key for figure in figures}
    known = {key: value for key, value in sorted(known.items()) if key in keys}
    write_atomically(request.folder / MANIFEST, json.dumps({"figures": known}, indent=1) + "\n")
    write_atomically(request.folder / INDEX, page_of(request, figures, known))
    for problem in dict.fromkeys(problems):
        print(f"reproduce: {problem}", file=sys.stderr)
    left = len(figures) - drawn - len(problems)
    counts = f"{drawn} drawn, {left} as they were, {len(problems)} cannot be drawn"
    print(f"figures: {counts}: {request.folder / INDEX}")
    return 1 if problems else 0
