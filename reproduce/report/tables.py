"""Tables of a scale as the report shows them: the Markdown page in parts, each cell with its runs."""

import base64
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from markupsafe import Markup

from reproduce.errors import UserError
from reproduce.experiments import Column, Row, TableSpec, table_names
from reproduce.report.markdown import Cell, Part, parse
from reproduce.runs.plan import scale_about
from reproduce.tables.driver import Request, committed_cells, render_cells
from reproduce.tables.markdown import CellRun
from reproduce.tables.render import Cells

#: Tables beside the paper's numbered ones, in the order of the report; others come last.
ORDER = ("details", "heaviside", "curves", "overhead", "ablations")

#: Words that stand where a number would.
EMPTY = ("", "–", "not run")


class Linked(NamedTuple):
    """A cell with its place among the runs.

    Attributes:
        html: Content.
        kind: ``number``, ``paper``, ``verdict`` or nothing.
        target: Anchor of its runs, if it has any.
        tone: Of a verdict: ``good``, ``part``, ``bad`` or ``none``.
    """

    html: Markup
    kind: str
    target: str
    tone: str


class Grid(NamedTuple):
    """A table to show."""

    head: Sequence[tuple[str, str]]
    rows: Sequence[Sequence[Linked]]


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


def anchor(table: str, row: str = "", column: str = "") -> str:
    """Id of the runs of a table, a row or a cell."""
    return "-".join(filter(None, ("cells", table, row, column)))


def tone(verdict: str) -> str:
    """How a verdict is coloured."""
    first = verdict.partition(" (")[0]
    if first in ("reproduced", "gain", "seen") or first.startswith(("at most", "less than")):
        return "good"
    if first in ("loss", "opposite") or first.startswith("more than"):
        return "bad"
    return "part" if first == "weaker" else "none"


def _columns(spec: TableSpec, head: str, first: str) -> list[Column]:
    """Columns that a cell is about: by its heading, else by the beginning of its line."""
    names = head.removesuffix(", ours").split(" − ")
    found = [column for column in spec.columns if column.label in names]
    return found or [column for column in spec.columns if column.label == first]


def _linked(spec: TableSpec, row: Row | None, head: str, first: str, cell: Cell) -> Linked:
    verdict = head == "Verdict"
    paper = head.removesuffix(" ").endswith("paper")
    kind = "paper" if paper else "verdict" if verdict else "number" if cell.number else ""
    target = ""
    if row is not None and cell.number and not paper and cell.text not in EMPTY:
        found = [c.key for c in _columns(spec, head, first) if row.has(c)]
        target = anchor(spec.name, row.key, found[0] if len(found) == 1 else "")
    return Linked(cell.html, kind, target, tone(cell.text) if verdict else "")


def link(spec: TableSpec, part: Part, heading: str) -> Grid:
    """A table whose numbers lead to their runs.

    A line belongs to the row whose label begins it, else to the one that is the heading's; a line
    or column named after a column of the table to that column.

    Args:
        spec: The table.
        part: What its page shows.
        heading: Heading above it.
    """
    labels = {row.label: row for row in spec.rows}
    names = [cell.text for cell in part.head]
    rows = []
    for line in part.rows:
        first = line[0].text.removesuffix(" (stale)")
        row = labels.get(first, labels.get(heading))
        rows.append([_linked(spec, row, n, first, c) for n, c in zip(names, line, strict=True)])
    kinds = ["number" if cell.number else "" for cell in part.head]
    return Grid([*zip(names, kinds, strict=True)], rows)


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


def read_report_table(index: Path) -> Table:
    """A committed table, through the Markdown that its records give."""
    request, spec, runs = committed_cells(index)
    about = scale_about(request.scale)
    parts = [p for p in parse(render_cells(request, spec, runs)) if p.text != about][1:]
    end = next(i for i, p in enumerate(parts) if (p.kind, p.text) == ("heading", "Runs"))
    notes = [part for part in parts[end:] if part.kind == "prose"]
    start = next(i for i, part in enumerate(parts) if part.kind != "prose")
    blocks = list(_blocks(spec, parts[start:end], index.parent))
    return Table(spec, request, runs, [*parts[:start], *notes], blocks)


def read_tables(folder: Path, scale: str) -> tuple[list[Table], list[str]]:
    """Tables of a scale, and names of those that were not made yet.

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
    return [read_report_table(path) for path in made.values()], [n for n in names if n not in made]
