"""Pages of figures 4 and 5: losses and mIoU over training, and the paper's statements on them.

Every verdict is a fixed rule on the records, named on the page.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from statistics import fmean, median
from typing import Any, Literal

from reproduce.experiments import Column, Row, TableSpec
from reproduce.tables.markdown import CellRun, grid, runs_section
from reproduce.tables.render import BEST, Cells, render
from reproduce.tables.statistics import Estimate, estimate, paired_gain

#: Quantities over training, with the name they are logged under and the decimals of a table.
QUANTITIES: Mapping[str, tuple[str, str, int]] = {
    "cross_entropy": ("cross-entropy", "train/criterion", 3),
    "level_set": ("E_LS", "train/level_set", 1),
    "miou": ("mIoU (%)", "val/miou", 2),
}

Points = list[tuple[float, float]]

#: Fewest validations that a rank correlation is taken over, and where statement (b) is seen.
VALIDATIONS, CORRELATION = 5, -0.5

#: Points of mIoU within which two Heaviside functions count as comparable.
MARGIN = 1.0


def points_of(record: Mapping[str, Any] | None, quantity: str) -> Points:
    """Step and value of a quantity over a run; empty where the record does not have it."""
    if record is None:
        return []
    key = QUANTITIES[quantity][1]
    if quantity == "miou":
        history = record.get("history") or []
        return [(float(v["step"]), v[key]) for v in history if v.get(key) is not None]
    curve = record.get("curve") or {}
    return list(zip(curve.get("step", []), curve.get(key, []), strict=True))


def end_value(record: Mapping[str, Any] | None, quantity: str) -> float | None:
    """A loss over the last tenth of its curve (rounded up), or mIoU at the last iterate."""
    if record is not None and quantity == "miou":
        return record["scores"]["last"]["miou"]  # type: ignore[no-any-return]
    points = points_of(record, quantity)
    return fmean(v for _, v in points[-math.ceil(len(points) / 10) :]) if points else None


def end_values(runs: Iterable[CellRun], row: str, column: str, quantity: str) -> dict[int, float]:
    """:func:`end_value` of the runs of a cell by seed, without those that have none."""
    found = {
        run.seed: end_value(run.record, quantity)
        for run in runs
        if (run.row, run.column) == (row, column)
    }
    return {seed: value for seed, value in found.items() if value is not None}


def around_validations(record: Mapping[str, Any] | None) -> Points:
    """E_LS and mIoU of each validation; E_LS is averaged over half an interval on both sides."""
    scores, energies = points_of(record, "miou"), points_of(record, "level_set")
    if len(scores) < 2:
        return []
    half = median(b[0] - a[0] for a, b in pairwise(scores)) / 2
    near = [([e for at, e in energies if abs(at - step) <= half], miou) for step, miou in scores]
    return [(fmean(values), miou) for values, miou in near if values]


def correlation(pairs: Points) -> float:
    """Spearman's rank correlation, to nine decimals; 0 where one of both never changes."""
    if len({x for x, _ in pairs}) < 2 or len({y for _, y in pairs}) < 2:
        return 0.0
    from scipy.stats import spearmanr

    return round(float(spearmanr(*zip(*pairs, strict=True)).statistic), 9)


def correlations(runs: Iterable[CellRun]) -> list[float]:
    """:func:`correlation` of the runs with at least :data:`VALIDATIONS` validations."""
    pairs = [around_validations(run.record) for run in runs]
    return [correlation(values) for values in pairs if len(values) >= VALIDATIONS]


def tally(seen: Sequence[bool], missing: str = "not run") -> str:
    """Such as ``seen in 2 of 3 seeds``."""
    if not seen:
        return missing
    word = "seen" if any(seen) else "not seen:"
    return f"{word} in {sum(seen)} of {len(seen)} seed{'s' if len(seen) > 1 else ''}"


Claim = Literal["better", "comparable"]


def judge(difference: Estimate | None, claim: Claim) -> str:
    """``seen``, ``opposite``, ``not seen`` or ``not run``.

    Args:
        difference: Difference in mIoU, paired by seed.
        claim: ``better``: the interval lies above zero, ``opposite``: below. ``comparable``: it
            lies within :data:`MARGIN` of zero, ``opposite``: beyond.
    """
    if difference is None:
        return "not run"
    if difference.half_width is None:
        return "not seen"
    low = difference.mean - difference.half_width
    high = difference.mean + difference.half_width
    if claim == "better":
        return "seen" if low > 0 else "opposite" if high < 0 else "not seen"
    if low >= -MARGIN and high <= MARGIN:
        return "seen"
    return "opposite" if low > MARGIN or high < -MARGIN else "not seen"


def _format(value: Estimate | None, digits: int, missing: str, *, signed: bool = False) -> str:
    if value is None:
        return missing
    mean = f"{value.mean:{'+' if signed else ''}.{digits}f}"
    if value.half_width is None:
        return f"{mean} (1 seed)"
    return f"{mean} ± {value.half_width:.{digits}f}"


def _column(spec: TableSpec, key: str) -> Column:
    return next(column for column in spec.columns if column.key == key)


def _stale(cells: Cells, columns: Sequence[str], *rows: Row) -> str:
    return " (stale)" if any(cells.stale(row, columns) for row in rows) else ""


def _differences(spec: TableSpec, cells: Cells, row: Row, quantity: str) -> dict[int, float]:
    """Difference between the two columns of a gain, by seed."""
    ours, base = (end_values(cells.runs(row, key), row.key, key, quantity) for key in spec.gain)
    return {seed: ours[seed] - base[seed] for seed in sorted(ours.keys() & base.keys())}


def _missing(runs: Iterable[CellRun]) -> str:
    """What stands for a loss that no run has: records of earlier versions have no curve."""
    return "no curve" if any(run.record is not None for run in runs) else "not run"


def _end_cell(cells: Cells, row: Row, column: Column, quantity: str) -> str:
    if quantity == "miou":
        return cells.ours(row, column)
    runs = cells.runs(row, column.key)
    found = list(end_values(runs, row.key, column.key, quantity).values())
    text = _format(estimate(found), QUANTITIES[quantity][2], _missing(runs))
    bare = sum(run.record is not None for run in runs) - len(found)
    marks = [f"{bare} without curve"] if bare and found else []
    marks += ["stale"] if cells.stale(row, [column.key]) else []
    return f"{text} ({', '.join(marks)})" if marks else text


def _ends(spec: TableSpec, cells: Cells) -> Iterator[list[str]]:
    """Lines of the table of final values."""
    ours, base = (_column(spec, key) for key in spec.gain)
    for row in spec.rows:
        for quantity, (label, _, digits) in QUANTITIES.items():
            values = [_end_cell(cells, row, column, quantity) for column in (base, ours)]
            difference = estimate(list(_differences(spec, cells, row, quantity).values()))
            text = _format(difference, digits, "–", signed=True)
            yield [row.label, label, *values, text + _stale(cells, spec.gain, row)]


def _ranks(rhos: Sequence[float], baseline: Sequence[float]) -> str:
    ours, base = (", ".join(f"{rho:+.2f}" for rho in values) for values in (rhos, baseline))
    return f" (ρ {ours}{f'; baseline {base}' if base else ''})" if ours else ""


def _statements(spec: TableSpec, cells: Cells) -> Iterator[list[str]]:
    """Lines of the table of the paper's statements on figure 4."""
    for row in spec.rows:
        runs = cells.runs(row, spec.gain[0])
        entropy, energy, miou = (_differences(spec, cells, row, name) for name in QUANTITIES)
        rhos, other = (correlations(cells.runs(row, key)) for key in spec.gain)
        few = f"not judged: fewer than {VALIDATIONS} validations"
        if not any(points_of(run.record, "level_set") for run in runs):
            few = _missing(runs)
        either = {_missing(cells.runs(row, key)) for key in spec.gain}
        none = "not run" if "not run" in either else "no pair of curves"
        verdicts = (
            tally([value < 0 for value in entropy.values()], none),
            tally([rho <= CORRELATION for rho in rhos], few) + _ranks(rhos, other),
            tally([energy[s] * miou[s] < 0 for s in energy.keys() & miou.keys()], none),
        )
        for statement, verdict in zip(STATEMENTS, verdicts, strict=True):
            yield [row.label, statement, verdict + _stale(cells, spec.gain, row)]


STATEMENTS = (
    "(a) cross-entropy with the LS loss ends below the baseline's",
    "(b) the LS loss falls while mIoU rises",
    "(c) the model with the higher mIoU has the lower LS loss",
)

CURVES = """\
# {title} ({scale} scale)

{about}

{purpose}

## At the end of training

Cross-entropy and E_LS are those of the training batches, summed over the network's outputs, mean of
the last tenth of the logged steps; mIoU is over the validation set at the last iterate. Mean ±
half-width of the 95 % interval (Student's t) over seeds; differences, {ours} minus {base}, are
paired by seed: both runs of a pair share initial weights, data order and crops.

{ends}

## What the paper says

Counted by seed. (a), (c): by the signs of the differences above, whose intervals say more than a
count: without any effect one seed in two shows (a). (b): in a run with the LS loss, Spearman's ρ
between mIoU and E_LS, averaged over half an interval before and after each of at least
{validations} validations, is {correlation} or less; beside it ρ of the baselines, whose E_LS is
only monitored.

{statements}

![Cross-entropy, E_LS and mIoU over training]({name}.svg)

Thin: one seed; thick: mean over seeds. Losses are smoothed by a running mean over five logged
steps. All values, not smoothed: [{name}.csv]({name}.csv).
"""


def render_curves(spec: TableSpec, scale: str, about: str, runs: Sequence[CellRun]) -> str:
    """The whole Markdown page of figure 4.

    Args:
        spec: Networks, and the columns to compare.
        scale: Scale of the runs.
        about: What the scale is and how it departs from the paper.
        runs: One per cell and seed.
    """
    cells = Cells(runs)
    ours, base = (_column(spec, key).label for key in spec.gain)
    page = CURVES.format(
        title=spec.title,
        scale=scale,
        about=about,
        purpose=spec.about,
        ours=ours,
        base=base,
        ends="\n".join(
            grid(["Network", "Value", base, ours, "Difference"], _ends(spec, cells), "--xxx")
        ),
        validations=VALIDATIONS,
        correlation=CORRELATION,
        statements="\n".join(
            grid(["Network", "The paper", "Here"], _statements(spec, cells), "---")
        ),
        name=spec.name,
    )
    return f"{page}\n{runs_section(runs, BEST)}\n"


def over_training(runs: Iterable[CellRun], row: str, column: str) -> dict[float, list[float]]:
    """The mIoU of the runs of a cell by step, seeds in their order."""
    found: dict[float, list[float]] = {}
    for run in sorted(runs, key=lambda run: run.seed):
        if (run.row, run.column) == (row, column):
            for step, miou in points_of(run.record, "miou"):
                found.setdefault(step, []).append(miou)
    return dict(sorted(found.items()))


#: The paper's statements of section 4.7: what is said, of which row against which.
CLAIMS: Sequence[tuple[str, str, str, Claim]] = (
    ("HF is inferior to MAHF", "mahf", "hf", "better"),
    ("HF is inferior to AHF of slope 20", "ahf_slope_20", "hf", "better"),
    ("HF is inferior to AHF, ε 20", "ahf_20", "hf", "better"),
    ("MAHF is slightly better than AHF of slope 20", "mahf", "ahf_slope_20", "better"),
    ("MAHF is slightly better than AHF, ε 20", "mahf", "ahf_20", "better"),
    ("MAHF and AHF of slope 20 are comparable", "mahf", "ahf_slope_20", "comparable"),
    ("MAHF and AHF, ε 20, are comparable", "mahf", "ahf_20", "comparable"),
)


def _claims(spec: TableSpec, cells: Cells) -> Iterator[list[str]]:
    """Lines of the table of the paper's statements on figure 5."""
    rows = {row.key: row for row in spec.rows}
    for text, first, second, claim in CLAIMS:
        if first in rows and second in rows:
            pair = (rows[first], rows[second])
            difference = paired_gain(*(cells.scores(row, spec.gain[0]) for row in pair))
            value = _format(difference, 2, "not run", signed=True)
            value += _stale(cells, spec.gain[:1], *pair)
            yield [text, value, judge(difference, claim)]


def _training_lines(spec: TableSpec, cells: Cells) -> tuple[list[float], list[list[str]]]:
    """At most ten steps, the last among them, and mean mIoU there for the baseline and each row."""
    ours, base = spec.gain
    lines = [(_column(spec, base).label, spec.rows[0], base)]
    lines += [(row.label, row, ours) for row in spec.rows]
    values = [over_training(cells.runs(row, key), row.key, key) for _, row, key in lines]
    every = sorted({step for value in values for step in value})
    steps = every[:: -max(math.ceil(len(every) / 10), 1)][::-1]
    body = []
    for (label, row, column), value in zip(lines, values, strict=True):
        means = [f"{fmean(value[step]):.2f}" if step in value else "–" for step in steps]
        seeds = str(max(map(len, value.values()))) if value else "not run"
        body.append([label + _stale(cells, [column], row), *means, seeds])
    return steps, body


HEAVISIDE = """
## What the paper says

Differences in mIoU at the last iterate, the function said to be better minus the other, paired by
seed. Better or inferior: *seen* where the 95 % interval lies above zero, *opposite* below.
Comparable: *seen* where it lies within {margin} point of zero, *opposite* beyond. Otherwise, or
with one seed, *not seen*.

{claims}

## Over training

Mean mIoU over seeds at the validations, at most ten of them.

{training}

![mIoU over training by Heaviside function]({name}_training.svg)

Right: the second half again, larger. Lines: mean over seeds. Bands, for MAHF (black), AHF of slope
20 (red) and HF (blue), the paper's colours: from the lowest seed to the highest.
"""


def render_heaviside(spec: TableSpec, scale: str, about: str, runs: Sequence[CellRun]) -> str:
    """The whole Markdown page of figure 5: that of a table, with mIoU over training.

    Args:
        spec: Rows by Heaviside function.
        scale: Scale of the runs.
        about: What the scale is and how it departs from the paper.
        runs: One per cell and seed.
    """
    cells = Cells(runs)
    listed = runs_section(runs, BEST)
    scores = render(spec, scale, about, runs).removesuffix(f"\n{listed}\n")
    steps, body = _training_lines(spec, cells)
    head = ["Function, iteration", *(f"{step:.0f}" for step in steps), "Seeds"]
    section = HEAVISIDE.format(
        margin=f"{MARGIN:g}",
        claims="\n".join(grid(["The paper", "Difference", "Verdict"], _claims(spec, cells), "-x-")),
        training="\n".join(grid(head, body, "-" + "x" * (len(head) - 1))),
        name=spec.name,
    )
    return f"{scores}{section}\n{listed}\n"
