"""Tables as the report shows them: the Markdown page in parts, each cell with its runs."""

import base64
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from reproduce.errors import UserError
from reproduce.experiments import TableSpec, table_names
from reproduce.report.links import Grid, link
from reproduce.report.markdown import Part, parse
from reproduce.runs.plan import scale_about
from reproduce.tables.driver import Request, committed_cells, render_cells
from reproduce.tables.markdown import CellRun
from reproduce.tables.render import Cells

#: Tables beside the paper's numbered ones, in the order of the report; others come last.
ORDER = ("details", "heaviside", "curves", "overhead", "ablations")


class Block(NamedTuple):
    """A part to show; ``grid`` for tables, ``image`` (a data URI) for pictures."""

    part: Part
    grid: Grid | None = None
    image: str = ""


class Table(NamedTuple):
    """A table of the report.

    Attributes:
        spec: Rows and columns.
        request: Scale, seeds and flags.
        runs: One per cell and seed.
        notes: How it was measured.
        blocks: The rest of the page, without its list of runs.
    """

    spec: TableSpec
    request: Request
    runs: Sequence[CellRun]
    notes: Sequence[Part]
    blocks: Sequence[Block]

    @property
    def cells(self) -> Cells:
        """The runs by cell."""
        return Cells(self.runs)

    def stale(self) -> int:
        """Number of stale cells."""
        cells = self.cells
        return sum(cells.stale(row, [column.key]) for row, column in self.spec.cells())

    def missing(self) -> int:
        """Number of cells that lack a run."""
        cells = self.cells
        return sum(
            any(run.record is None for run in cells.runs(row, column.key))
            for row, column in self.spec.cells()
        )


def inline_svg(path: Path) -> str:
    """A committed picture as a data URI, nothing if there is none."""
    if not path.is_file():
        return ""
    return "data:image/svg+xml;base64," + base64.b64encode(path.read_bytes()).decode()


def _blocks(spec: TableSpec, parts: Sequence[Part], folder: Path) -> Iterator[Block]:
    heading = ""
    for part in parts:
        if part.kind == "heading":
            heading = part.text
            yield Block(part)
        elif part.kind == "table":
            yield Block(part, link(spec, part, heading))
        elif part.kind == "picture":
            yield Block(part, image=inline_svg(folder / part.source))
        else:
            yield Block(part)


def read_report_table(index: Path, *, committed: bool = False) -> Table:
    """A committed table, through the Markdown that its records give.

    Args:
        index: Its list of records.
        committed: Take the Markdown as it stands beside; ``reproduce check`` tells if it is right.
    """
    request, spec, runs = committed_cells(index)
    about = scale_about(request.scale)
    page = index.with_suffix(".md")
    text = page.read_text("utf-8") if committed else render_cells(request, spec, runs)
    parts = [p for p in parse(text) if p.text != about][1:]
    end = next(i for i, p in enumerate(parts) if (p.kind, p.text) == ("heading", "Runs"))
    notes = [part for part in parts[end:] if part.kind == "prose"]
    start = next(i for i, part in enumerate(parts) if part.kind != "prose")
    blocks = list(_blocks(spec, parts[start:end], index.parent))
    return Table(spec, request, runs, [*parts[:start], *notes], blocks)


def read_tables(
    folder: Path, scale: str, *, committed: bool = False
) -> tuple[list[Table], list[str]]:
    """Tables of a scale, and names of those that were not made yet.

    Args:
        folder: Folder of all scales.
        scale: Scale.
        committed: As for :func:`read_report_table`.

    Raises:
        UserError: If there is none.
    """
    names = sorted(
        table_names(), key=lambda name: (ORDER.index(name) if name in ORDER else -1, name)
    )
    made = {name: path for name in names if (path := folder / scale / f"{name}.json").is_file()}
    if not made:
        raise UserError(
            f"no tables in {folder / scale}: make table1 SCALE={scale} writes the first"
        )
    tables = [read_report_table(path, committed=committed) for path in made.values()]
    return tables, [name for name in names if name not in made]
