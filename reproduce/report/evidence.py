"""What the committed tables of a scale say of the paper's claims, as text for a Markdown page."""

import html
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import NamedTuple

from reproduce.evaluations import kind
from reproduce.experiments import Row
from reproduce.report.claims import Claim, claim_of
from reproduce.report.tables import Table, read_tables
from reproduce.runs.plan import scale_about
from reproduce.tables.markdown import escape, format_estimate
from reproduce.tables.render import paper_gain
from reproduce.tables.statistics import Estimate, paired_gain, verdict

#: Row and key of the column of a cell.
Place = tuple[Row, str]


class ClaimLine(NamedTuple):
    """A table's claim with what the fixed rules say of it."""

    name: str
    title: str
    text: str
    found: str
    seeds: int
    missing: int
    stale: int


class Gain(NamedTuple):
    """A gain that the paper prints, beside ours.

    Attributes:
        table: Such as ``Table 1``.
        method: Label of the row.
        ours: Mean and interval.
        paper: Number of the paper.
        verdict: By the rule of :func:`reproduce.tables.statistics.verdict`, or ``stale`` after it.
        estimate: Ours as numbers, ``None`` if it was not run.
        points: The paper's as a number.
    """

    table: str
    method: str
    ours: str
    paper: str
    verdict: str
    estimate: Estimate | None
    points: float

    @property
    def sign(self) -> int:
        """1 or -1 if the interval lies above or below zero, else 0."""
        if self.estimate is None or self.estimate.half_width is None:
            return 0
        low, high = (self.estimate.mean + s * self.estimate.half_width for s in (-1, 1))
        return int(low > 0) - int(high < 0)


class Cost(NamedTuple):
    """What the runs of a scale took."""

    trainings: int
    others: int
    hours: str
    memory: str
    devices: str
    dates: str


class Evidence(NamedTuple):
    """The tables of a scale."""

    name: str
    about: str
    claims: Sequence[ClaimLine]
    gains: Sequence[Gain]
    cost: Cost

    @property
    def reading(self) -> str:
        """How often each verdict was given, and for whom an interval leaves out zero."""
        words = [gain.verdict.partition(" (")[0] for gain in self.gains]
        counts = ", ".join(f"{words.count(word)} {word}" for word in dict.fromkeys(words))
        lines = [f"Of {len(self.gains)} gains: {counts}."]
        for sign, text in ((1, "above"), (-1, "below")):
            named = [f"{g.method} ({g.table})" for g in self.gains if g.sign == sign]
            lines.append(f"Intervals {text} zero: {', '.join(named) or 'none'}.")
        return " ".join(lines)

    @property
    def resolution(self) -> tuple[float, float] | None:
        """Median half-width of our intervals and median gain of the paper; ``None`` without."""
        known = [(g.estimate.half_width, g.points) for g in self.gains if g.estimate]
        widths = [width for width, _ in known if width is not None]
        return (median(widths), median(points for _, points in known)) if widths else None


def _markdown(line: str) -> str:
    """A line of a claim, which is escaped HTML, for a cell of a Markdown table."""
    text = re.sub(r"</?(?:b|strong)>", "**", line)
    return escape(html.unescape(re.sub(r"<[^>]+>", "", text)))


def _claim_line(claim: Claim) -> ClaimLine:
    spec = claim.table.spec
    verdicts = ", ".join(f"{count} {word}" for word, count, _ in claim.verdicts)
    found = "<br>".join(filter(None, [verdicts, *(_markdown(line) for line in claim.lines)]))
    return ClaimLine(
        name=spec.name,
        title=escape(spec.title),
        text=escape(claim.text),
        found=found,
        seeds=claim.table.request.seeds,
        missing=claim.table.missing(),
        stale=claim.table.stale(),
    )


def _gain(table: Table, method: str, ours: Place, base: Place, paper: float) -> Gain:
    cells = table.cells
    gain = paired_gain(cells.scores(*ours), cells.scores(*base))
    stale = any(cells.stale(row, [column]) for row, column in (ours, base))
    return Gain(
        table.spec.title.partition(":")[0],
        escape(method),
        format_estimate(gain, signed=True),
        f"{paper:+.1f}",
        verdict(gain, paper) + (" (stale)" if stale else ""),
        gain,
        paper,
    )


def _gains(table: Table) -> Iterator[Gain]:
    """Rows of a table of scores for which the paper has a gain of its loss.

    Where each row has a loss of its own, the gain of the level set loss over the other ones.
    """
    spec = table.spec
    ours, base = spec.gain
    if spec.page != "scores" or not spec.in_paper:
        return
    if next(column.loss for column in spec.columns if column.key == ours) != "row":
        for row in spec.rows:
            if (paper := paper_gain(spec, row)) is not None:
                yield _gain(table, row.label, (row, ours), (row, base), paper)
        return
    first = next(row for row in spec.rows if row.loss == "level_set")
    for row in spec.rows:
        if row.loss != "level_set" and ours in row.paper:
            paper = round(first.paper[ours] - row.paper[ours], 6)
            yield _gain(table, f"over {row.label}", (first, ours), (row, ours), paper)


def _cost(tables: Sequence[Table]) -> Cost:
    runs = {run.id: run.record for table in tables for run in table.runs if run.record is not None}
    records = list(runs.values())
    trainings = sum(kind(record["config"]) == "training" for record in records)
    seconds = sum(record["timing"]["wall_seconds"] for record in records)
    memory = max((record["timing"]["peak_memory_bytes"] for record in records), default=0)
    days = sorted(record["date"].partition(" ")[0] for record in records) or ["–"]
    devices = sorted({record["hardware"]["device"] for record in records})
    return Cost(
        trainings,
        len(records) - trainings,
        f"{seconds / 3600:.1f}",
        f"{memory / 2**30:.1f} GiB",
        escape(", ".join(devices)) or "–",
        " to ".join(dict.fromkeys((days[0], days[-1]))),
    )


def read_evidence(folder: Path, scale: str) -> Evidence:
    """Evidence of a scale's committed tables, whose Markdown is taken as it stands.

    Args:
        folder: Folder of the tables.
        scale: Scale.

    Raises:
        UserError: If there is no table of the scale.
    """
    tables, _ = read_tables(folder, scale, committed=True)
    return Evidence(
        scale,
        scale_about(scale),
        [_claim_line(claim_of(table)) for table in tables],
        [gain for table in tables for gain in _gains(table)],
        _cost(tables),
    )
