"""Markdown of a table: a pure function of its specification and the records behind it."""

from collections.abc import Iterable, Sequence

from reproduce.experiments import Column, Row, TableSpec
from reproduce.runs.fingerprint import code_fingerprint
from reproduce.tables.markdown import (
    CellRun,
    format_estimate,
    grid,
    runs_section,
    scores_by_seed,
)
from reproduce.tables.statistics import estimate, paired_gain, verdict


class Cells:
    """Runs of a table by cell."""

    def __init__(self, runs: Iterable[CellRun]) -> None:
        self.by_cell: dict[tuple[str, str], list[CellRun]] = {}
        for run in runs:
            self.by_cell.setdefault((run.row, run.column), []).append(run)

    def runs(self, row: Row, column: str) -> list[CellRun]:
        """Runs of a cell by seed."""
        return sorted(self.by_cell.get((row.key, column), []), key=lambda run: run.seed)

    def scores(self, row: Row, column: str) -> dict[int, float]:
        """Mean IoU of a cell in percent by seed."""
        return scores_by_seed(self.runs(row, column), row.key, column)

    def stale(self, row: Row, columns: Sequence[str]) -> bool:
        """Whether a run of some cells of a row was made by other code."""
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


def paper_number(row: Row, column: str) -> str:
    """The paper's mIoU of a cell."""
    return f"{row.paper[column]:.1f}" if column in row.paper else "–"


def paper_gain(spec: TableSpec, row: Row) -> float | None:
    """The paper's gain in points, ``None`` where it has no numbers."""
    ours, base = (row.paper.get(column) for column in spec.gain)
    return None if ours is None or base is None else round(ours - base, 6)


def _gains(spec: TableSpec, cells: Cells) -> list[str]:
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
        return grid(["Method", "Gain", "Verdict"], lines, "-x-")
    return grid(["Method", "Gain, ours", "Gain, paper", "Verdict"], lines, "-xx-")


def _chosen(spec: TableSpec, cells: Cells) -> str:
    """What was chosen on training images, with the scores of all values that were tried."""
    lines = []
    for row in spec.rows:
        runs = [run for column in spec.columns for run in cells.runs(row, column.key)]
        found = next((r.record["chosen"] for r in runs if r.record and "chosen" in r.record), None)
        if found is not None:
            tried = ", ".join(
                f"{trial['value']:g}: {trial['miou']:.2f} (`{trial['run']}`)"
                for trial in found["tried"]
            )
            lines.append([row.label, f"{found['value']:g}", tried])
    if not lines:
        return ""
    table = "\n".join(grid(["Method", "Chosen", "mIoU on held-out training images"], lines, "-x-"))
    return CHOSEN.format(table=table)


CHOSEN = """
## Chosen weights

By networks trained with seed 0 on four fifths of the training images; the validation images were
not looked at.

{table}
"""

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
{sensitivity}{chosen}
{runs}
"""

BEST = """ The last iterate is the headline; the best one is chosen on
the evaluation set itself."""

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


def render(spec: TableSpec, scale: str, about: str, runs: Sequence[CellRun]) -> str:
    """The whole Markdown page.

    Args:
        spec: Rows, columns and the paper's numbers.
        scale: Scale of the runs.
        about: What the scale is and how it departs from the paper.
        runs: One per cell and seed; those whose record was made by other code are marked stale.
    """
    cells = Cells(runs)
    known = spec.in_paper
    head = ["Method"]
    for column in spec.columns:
        head += [f"{column.label}, ours", "paper"] if known else [column.label]
    body = []
    for row in spec.rows:
        line = [row.label]
        for column in spec.columns:
            line += [cells.ours(row, column), *([paper_number(row, column.key)] if known else [])]
        body.append(line)
    ours, base = (next(c.label for c in spec.columns if c.key == key) for key in spec.gain)
    return PAGE.format(
        title=spec.title,
        scale=scale,
        about=about,
        purpose=f"\n{spec.about}\n" if spec.about else "",
        cells="\n".join(grid(head, body, "-" + "x" * (len(head) - 1))),
        ours=ours,
        base=base,
        gains="\n".join(_gains(spec, cells)),
        verdicts=VERDICTS if known else VERDICTS_ALONE,
        beside=BESIDE if known else "seeds.",
        name=spec.name,
        sensitivity=SENSITIVITY.format(name=spec.name) if spec.sensitivity else "",
        chosen=_chosen(spec, cells),
        runs=runs_section(runs, BEST),
    )
