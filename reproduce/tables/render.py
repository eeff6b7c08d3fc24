"""Markdown of a table: a pure function of its specification and the records behind it."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from reproduce.experiments import Column, Row, TableSpec
from reproduce.runs.fingerprint import code_fingerprint
from reproduce.tables.statistics import Estimate, estimate, paired_gain, verdict


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


def _escape(text: str) -> str:
    return " ".join(text.replace("|", "\\|").replace("<", "&lt;").split())


def _line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _grid(head: Sequence[str], rows: Iterable[Sequence[str]], numbers: str) -> list[str]:
    """Lines of a Markdown table; ``numbers`` has an x for each column that is aligned right."""
    rule = ["---:" if mark == "x" else "---" for mark in numbers]
    return [_line(head), _line(rule), *(_line(row) for row in rows)]


def format_estimate(value: Estimate | None, *, signed: bool = False) -> str:
    """Such as ``28.2 ± 0.9``; a single run has no interval and says so."""
    if value is None:
        return "not run"
    mean = f"{value.mean:+.2f}" if signed else f"{value.mean:.2f}"
    return f"{mean} (1 seed)" if value.half_width is None else f"{mean} ± {value.half_width:.2f}"


class _Cells:
    """Runs of a table by cell."""

    def __init__(self, runs: Iterable[CellRun]) -> None:
        self.by_cell: dict[tuple[str, str], list[CellRun]] = {}
        for run in runs:
            self.by_cell.setdefault((run.row, run.column), []).append(run)

    def runs(self, row: Row, column: str) -> list[CellRun]:
        return sorted(self.by_cell.get((row.key, column), []), key=lambda run: run.seed)

    def scores(self, row: Row, column: str) -> dict[int, float]:
        return scores_by_seed(self.runs(row, column), row.key, column)

    def stale(self, row: Row, columns: Sequence[str]) -> bool:
        return any(
            run.record is not None and run.record["code"] != code_fingerprint(run.record["config"])
            for column in columns
            for run in self.runs(row, column)
        )

    def ours(self, row: Row, column: Column) -> str:
        """A cell of the first table."""
        if not row.has(column):
            return "–"
        text = format_estimate(estimate(list(self.scores(row, column.key).values())))
        bad = [run.note for run in self.runs(row, column.key) if run.note not in ("", "not run")]
        marks = [*(f"{bad.count(note)} {note}" for note in dict.fromkeys(bad))]
        marks += ["stale"] if self.stale(row, [column.key]) else []
        return f"{text} ({', '.join(marks)})" if marks else text


def _paper(row: Row, column: str) -> str:
    return f"{row.paper[column]:.1f}" if column in row.paper else "–"


def paper_gain(spec: TableSpec, row: Row) -> float | None:
    """The paper's gain in points, ``None`` where it has no numbers."""
    ours, base = (row.paper.get(column) for column in spec.gain)
    return None if ours is None or base is None else round(ours - base, 6)


def _gains(spec: TableSpec, cells: _Cells) -> list[str]:
    ours, base = spec.gain
    lines = []
    for row in spec.rows:
        gain = paired_gain(cells.scores(row, ours), cells.scores(row, base))
        paper = paper_gain(spec, row)
        stale = " (stale)" if cells.stale(row, [ours, base]) else ""
        lines.append(
            [
                row.label,
                format_estimate(gain, signed=True) + stale,
                *(["–" if paper is None else f"{paper:+.1f}"] if spec.in_paper else []),
                verdict(gain, paper),
            ]
        )
    if not spec.in_paper:
        return _grid(["Method", "Gain", "Verdict"], lines, "-x-")
    return _grid(["Method", "Gain, ours", "Gain, paper", "Verdict"], lines, "-xx-")


def _run_line(run: CellRun) -> list[str]:
    name = f"{run.row}/{run.column}"
    if run.record is None:
        note = run.note + (f": {_escape(run.problem)}" if run.problem else "")
        return [f"`{run.id}`" if run.id else "–", name, str(run.seed), note, *["–"] * 6]
    record = run.record
    timing, hardware = record["timing"], record["hardware"]
    return [
        f"`{run.id}`",
        name,
        str(run.seed),
        f"{record['scores']['last']['miou']:.2f}",
        f"{record['scores']['best']['miou']:.2f}",
        f"{timing['wall_seconds']:.0f} s",
        f"{timing['peak_memory_bytes'] / 2**20:.0f} MiB",
        f"{hardware['devices']} × {_escape(hardware['device'])}",
        record["date"],
        f"`{_escape(record['command'])}`",
    ]


PAGE = """\
# {title} ({scale} scale)

{about}
{purpose}
Numbers are mIoU in percent over the validation set at the last iterate, mean ± half-width of the
95 % interval (Student's t) over {beside}

{cells}

## Gain of {ours} over {base}

Paired by seed: both runs of a pair share initial weights, data order and crops. {verdicts}

{gains}

![Gains with intervals]({name}.svg)
{sensitivity}
## Runs

Data: {data} images, manifest {digests}. The last iterate is the headline; the best one is chosen on
the evaluation set itself.

{runs}
"""

BESIDE = """seeds; beside them the paper's own. Scale and data differ from the
paper's unless said otherwise above: compare gains, not levels."""

VERDICTS = """*reproduced*: the
95 % interval lies above zero and reaches the paper's gain; *weaker*: above zero, below the paper's;
*not seen*: it reaches zero or lies below, or one seed gives none."""

VERDICTS_ALONE = """The paper has
no numbers here. *gain*, *loss*: the 95 % interval lies above or below zero; *not seen*: it reaches
zero, or one seed gives none."""

SENSITIVITY = """
![Mean gain by λ and ε]({name}_sensitivity.svg)
"""

RUN_HEAD = ["Run", "Cell", "Seed", "mIoU last", "best", "Time", "Memory", "Device", "Date (UTC)"]


def render(spec: TableSpec, scale: str, about: str, runs: Sequence[CellRun]) -> str:
    """The whole Markdown page.

    Args:
        spec: Rows, columns and the paper's numbers.
        scale: Scale of the runs.
        about: What the scale is and how it departs from the paper.
        runs: One per cell and seed; those whose record was made by other code are marked stale.
    """
    cells = _Cells(runs)
    known = spec.in_paper
    head = ["Method"]
    for column in spec.columns:
        head += [f"{column.label}, ours", "paper"] if known else [column.label]
    body = []
    for row in spec.rows:
        line = [row.label]
        for column in spec.columns:
            line += [cells.ours(row, column), *([_paper(row, column.key)] if known else [])]
        body.append(line)
    ours, base = (next(c.label for c in spec.columns if c.key == key) for key in spec.gain)
    digests = sorted({run.record["data"]["digest"][:12] for run in runs if run.record})
    sizes = {
        split: counts["images"]
        for run in runs
        if run.record
        for split, counts in run.record["data"]["splits"].items()
    }
    data = ", ".join(f"{count} {split}" for split, count in sizes.items()) or "none"
    return PAGE.format(
        title=spec.title,
        scale=scale,
        about=about,
        purpose=f"\n{spec.about}\n" if spec.about else "",
        cells="\n".join(_grid(head, body, "-" + "x" * (len(head) - 1))),
        ours=ours,
        base=base,
        gains="\n".join(_gains(spec, cells)),
        verdicts=VERDICTS if known else VERDICTS_ALONE,
        beside=BESIDE if known else "seeds.",
        name=spec.name,
        sensitivity=SENSITIVITY.format(name=spec.name) if spec.sensitivity else "",
        data=data,
        digests=", ".join(digests) or "none",
        runs="\n".join(
            _grid([*RUN_HEAD, "Command"], [_run_line(run) for run in runs], "--xxxxx---")
        ),
    )
