"""Cells of a page's tables with the place of their runs, and how verdicts are coloured."""

from collections.abc import Sequence
from typing import NamedTuple

from markupsafe import Markup

from reproduce.experiments import Column, Row, TableSpec
from reproduce.report.markdown import Cell, Part

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
    """Columns that a cell is about: by its heading, else by the beginning of its line.

    Seconds are those of a run of their own.
    """
    names = head.removesuffix(", ours").split(" − ")
    if spec.page == "timing" and "mIoU" not in head:
        return [column for column in spec.columns if "timing" in (column.evaluate or {})]
    found = [column for column in spec.columns if column.label in names]
    return found or [column for column in spec.columns if column.label == first]


def _linked(spec: TableSpec, row: Row | None, head: str, first: str, cell: Cell) -> Linked:
    verdict = head == "Verdict"
    paper = cell.number and head.removesuffix(" ").endswith("paper")
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
