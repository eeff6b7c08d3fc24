"""Pieces of Markdown that the pages share."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from reproduce.tables.statistics import Estimate


class CellRun(NamedTuple):
    """One run of a cell, wherever its record came from.

    Attributes:
        row: Key of the row.
        column: Key of the column.
        seed: Seed.
        id: Identity of the run, if known.
        record: Its record; ``None`` where there is none.
        note: What is shown instead of a score: ``not run``, ``failed``, ``unreadable``.
        problem: Why, one line.
    """

    row: str
    column: str
    seed: int
    id: str
    record: Mapping[str, Any] | None
    note: str = ""
    problem: str = ""


def scores_by_seed(runs: Iterable[CellRun], row: str, column: str) -> dict[int, float]:
    """Mean IoU in percent, at the last iterate, of the completed runs of a cell."""
    return {
        run.seed: run.record["scores"]["last"]["miou"]
        for run in runs
        if run.record and (run.row, run.column) == (row, column)
    }


def escape(text: str) -> str:
    """Text that may stand in a cell."""
    return " ".join(text.replace("|", "\\|").replace("<", "&lt;").split())


def _line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def grid(head: Sequence[str], rows: Iterable[Sequence[str]], numbers: str) -> list[str]:
    """Lines of a Markdown table; ``numbers`` has an x for each column that is aligned right."""
    rule = ["---:" if mark == "x" else "---" for mark in numbers]
    return [_line(head), _line(rule), *(_line(row) for row in rows)]


def format_estimate(value: Estimate | None, *, signed: bool = False) -> str:
    """Such as ``28.2 ± 0.9``; a single run has no interval and says so."""
    if value is None:
        return "not run"
    mean = f"{value.mean:+.2f}" if signed else f"{value.mean:.2f}"
    return f"{mean} (1 seed)" if value.half_width is None else f"{mean} ± {value.half_width:.2f}"


RUN_HEAD = ["Run", "Cell", "Seed", "mIoU last", "best", "Time", "Memory", "Device", "Date (UTC)"]


def run_line(run: CellRun) -> list[str]:
    """The line of a run in the list of runs; a timing run has no scores."""
    name = f"{run.row}/{run.column}"
    if run.record is None:
        note = run.note + (f": {escape(run.problem)}" if run.problem else "")
        return [f"`{run.id}`" if run.id else "–", name, str(run.seed), note, *["–"] * 6]
    record = run.record
    timing, hardware, scores = record["timing"], record["hardware"], record.get("scores", {})
    return [
        f"`{run.id}`",
        name,
        str(run.seed),
        *(f"{scores[key]['miou']:.2f}" if key in scores else "–" for key in ("last", "best")),
        f"{timing['wall_seconds']:.0f} s",
        f"{timing['peak_memory_bytes'] / 2**20:.0f} MiB",
        f"{hardware['devices']} × {escape(hardware['device'])}",
        record["date"],
        f"`{escape(record['command'])}`",
    ]


def runs_section(runs: Sequence[CellRun], note: str = "") -> str:
    """The last section of a page: which data, then a line per run.

    Args:
        runs: One per cell and seed.
        note: A sentence after the data.
    """
    records = [run.record for run in runs if run.record]
    sizes = {
        split: counts["images"]
        for record in records
        for split, counts in record["data"]["splits"].items()
    }
    data = ", ".join(f"{count} {split}" for split, count in sizes.items()) or "none"
    digests = ", ".join(sorted({r["data"]["digest"][:12] for r in records})) or "none"
    head = f"## Runs\n\nData: {data} images, manifest {digests}.{note}\n\n"
    lines = grid([*RUN_HEAD, "Command"], [run_line(run) for run in runs], "--xxxxx---")
    return head + "\n".join(lines)
