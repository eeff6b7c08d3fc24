"""Page of section 4.3: what the level set loss adds to a training step, beside the paper's."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from reproduce.bench.statistics import Around, median_interval, quartiles
from reproduce.experiments import Row, TableSpec
from reproduce.tables.figures import axes_file
from reproduce.tables.markdown import CellRun, escape, grid, runs_section
from reproduce.tables.render import Cells

#: Contestants of a record's ``step`` and ``loss``.
BASE, OURS = "cross_entropy", "level_set"

#: Percent up to which a step counts as no dearer.
FREE = 1.0


def by_round(result: Mapping[str, Any], part: str) -> list[tuple[float, float]]:
    """Seconds with cross-entropy and with the level set loss, a pair a round.

    Args:
        result: A record's ``overhead``.
        part: ``step`` or ``loss``.
    """
    measured = result[part]
    return list(zip(measured[BASE]["seconds"], measured[OURS]["seconds"], strict=True))


def percent(result: Mapping[str, Any], part: str) -> Around:
    """Overhead in percent: median of the rounds' ratios less 1, with its 95 % interval.

    Args:
        result: A record's ``overhead``.
        part: ``step`` or ``loss``.
    """
    return median_interval([100 * (ours / base - 1) for base, ours in by_round(result, part)])


def share_of_step(result: Mapping[str, Any]) -> Around:
    """What the losses alone differ by, in percent of a step, with its 95 % interval.

    The rest of a step is the same work with either loss, and its noise, which hides a difference
    this small in :func:`percent`, is left out.

    Args:
        result: A record's ``overhead``.
    """
    step = quartiles(result["step"][BASE]["seconds"]).median
    return median_interval([100 * (ours - base) / step for base, ours in by_round(result, "loss")])


def paper_percent(row: Row) -> float | None:
    """The paper's overhead in percent, ``None`` where it has none."""
    base, ours = (row.paper_seconds.get(column) for column in ("baseline", "level_set"))
    return None if base is None or ours is None else 100 * (ours / base - 1)


def verdict(found: Around, paper: float) -> str:
    """What an overhead and its interval, in percent, say beside the paper's."""
    if found.high <= FREE:
        return f"at most {FREE:.0f} %"
    if found.high < paper:
        return f"less than the paper's {paper:.0f} %"
    return f"more than the paper's {paper:.0f} %" if found.low > paper else "undecided"


class _Measured:
    """The overhead of a row: that of the first seed which has a record."""

    def __init__(self, spec: TableSpec, row: Row, cells: Cells) -> None:
        runs = [run for column in spec.columns for run in cells.runs(row, column.key)]
        done = next((run for run in runs if run.record is not None), None)
        self.row = row
        self.result: Mapping[str, Any] = done.record["overhead"] if done and done.record else {}
        self.note = next((run.note for run in runs if run.note), "not run")
        self.mark = " (stale)" if done and cells.stale(row, [done.column]) else ""

    def line(self, values: Sequence[str]) -> list[str]:
        """A line of a table: values, or why there are none."""
        return [self.row.label, *(f"{value}{self.mark}" for value in values)]


def _time(value: float) -> str:
    return f"{value:#.3g}" if value < 100 else f"{value:.0f}"


def _times(values: Sequence[float], factor: float) -> str:
    low, median, high = (_time(value * factor) for value in quartiles(values))
    return f"{median} ({low} to {high})"


def _step_line(measured: _Measured, paper: float) -> list[str]:
    row, result = measured.row, measured.result
    printed = [row.paper_seconds.get(column) for column in ("baseline", "level_set")]
    base, ours = ("–" if value is None else f"{value:.3f}" for value in printed)
    own = paper_percent(row)
    gain = "–" if own is None else f"{own:+.0f} %"
    if not result:
        return [row.label, measured.note, base, measured.note, ours, measured.note, gain, "not run"]
    found = percent(result, "step")
    times = [_times(result["step"][k]["seconds"], 1 / result["images"]) for k in (BASE, OURS)]
    text = f"{found.text('+.2f')} %"
    took, took_ours, text = (f"{value}{measured.mark}" for value in (*times, text))
    return [row.label, took, base, took_ours, ours, text, gain, verdict(found, paper)]


def _loss_line(measured: _Measured) -> list[str]:
    result = measured.result
    if not result:
        return [measured.row.label, *[measured.note] * 6]
    step = quartiles(result["step"][BASE]["seconds"]).median
    pairs = by_round(result, "loss")
    share = quartiles([base for base, _ in pairs]).median / step
    return measured.line(
        [
            ", ".join("×".join(map(str, grid)) for grid in result["grids"]),
            *(_times(times, 1e3) for times in zip(*pairs, strict=True)),
            f"×{quartiles([ours / base for base, ours in pairs]).text()}",
            f"{100 * share:.2f} %",
            share_of_step(result).text("+.3f") + " %",
        ]
    )


def _memory_line(measured: _Measured) -> list[str]:
    result = measured.result
    if not result:
        return [measured.row.label, *[measured.note] * 4]
    values = []
    for key in ("peak_bytes", "peak_resident"):
        for name in (BASE, OURS):
            value = result["step"][name][key]
            values.append("–" if value is None else f"{value / 2**20:.1f}")
    return measured.line(values)


def _setting(result: Mapping[str, Any], label: str) -> str:
    facts, crop = result["hardware"], "×".join(map(str, result["crop"]))
    kernel = {True: ", with the loss's kernel in C", False: ", without a kernel", None: ""}
    return (
        f"{label}: {result['network']}, {result['parameters']:,} parameters, "
        f"{result['images']} × {crop} pixels, {result['classes']} classes; "
        f"{escape(facts['device'])}, threads: {facts['threads']}{kernel[result['kernel']]}; "
        f"{result['rounds']} rounds after {result['warmup']}."
    )


STEP_HEAD = ["Network", "CE, ours", "paper", "CE + LS, ours", "paper", "Overhead, ours", "paper"]
LOSS_HEAD = ["Network", "Grid", "CE, ms", "CE + LS, ms", "LS / CE", "CE in a step", "LS adds"]
MEMORY_HEAD = ["Network", "tensors, CE", "CE + LS", "process, CE", "CE + LS"]

PAGE = """\
# {title} ({scale} scale)

{about}

{purpose}

A step is forward, loss, backward and SGD in float32 on training batches of the data, loading left
out. Both losses share one network with random weights, calibrated batch normalisation and learning
rate 0, so that every step starts from the same weights; they take turns in one process, in an order
drawn anew each round, with nothing else running. Cross-entropy is `nn.CrossEntropyLoss`.

## A training step

Seconds per image: median (quartiles) over rounds. *Overhead*: median of the rounds' ratios, less 1
(its 95 % interval, by order statistics). The paper's seconds are those of a GTX 1080Ti and an
i7-8700: compare overheads. Verdict, by the upper end of the interval: *at most 1 %*; *less than the
paper's*; *more*, if the whole interval lies above it; else *undecided*.
{paper}

{steps}

![Overhead of a training step]({name}.svg)

## The losses alone

Forward and backward on the step's logits and labels. *LS adds*: median of the rounds' differences,
as part of a step with cross-entropy (95 % interval): the rest of a step is the same work with
either loss, so its noise is left out. Alone, the losses find their data in the caches; in a step
they may not.

{losses}

## Memory

The most that a step holds at once beyond weights and momentum, in MiB: its tensors; and the whole
process by the system's count, so that what the kernel in C takes is in it (on a CPU).

{memory}

## Setting

{setting}

{runs}
"""


def _paper(spec: TableSpec) -> tuple[Row, float]:
    """The first row that the paper has numbers for, and its overhead in percent."""
    known = ((row, paper_percent(row)) for row in spec.rows)
    return next((row, value) for row, value in known if value is not None)


def render_overhead(spec: TableSpec, scale: str, about: str, runs: Sequence[CellRun]) -> str:
    """The whole Markdown page.

    Args:
        spec: Rows and the paper's seconds. The records of its runs have the measurement under
            ``overhead`` (:func:`reproduce.bench.overhead.measure_overhead`).
        scale: Scale of the runs.
        about: What the scale is and how it departs from the paper.
        runs: One per cell and seed; those whose record was made by other code are marked stale.
    """
    cells = Cells(runs)
    rows = [_Measured(spec, row, cells) for row in spec.rows]
    first, paper = _paper(spec)
    measured = [row for row in rows if row.result]
    setting = "\n".join(f"- {_setting(row.result, row.row.label)}" for row in measured)
    return PAGE.format(
        title=spec.title,
        scale=scale,
        about=about,
        purpose=spec.about,
        paper=f"The paper's {paper:.0f} % are {first.label}'s; it has no other network.",
        steps="\n".join(
            grid([*STEP_HEAD, "Verdict"], [_step_line(row, paper) for row in rows], "-xxxxxx-")
        ),
        losses="\n".join(grid(LOSS_HEAD, map(_loss_line, rows), "-xxxxxx")),
        memory="\n".join(grid(MEMORY_HEAD, map(_memory_line, rows), "-xxxx")),
        setting=setting or "Not measured yet.",
        name=spec.name,
        runs=runs_section(runs),
    )


def draw_overhead(spec: TableSpec, scale: str, runs: Sequence[CellRun], path: Path) -> None:
    """Write the overhead of each network with its interval as SVG; equal runs give equal files.

    Args:
        spec: The table.
        scale: Scale, for the heading.
        runs: One per cell and seed.
        path: File to write.
    """
    cells = Cells(runs)
    with axes_file(path, spec.name, (7, 1 + 0.42 * len(spec.rows))) as axes:
        axes.axvline(0, color="0.6", linewidth=1)
        for place, row in enumerate(spec.rows):
            if result := _Measured(spec, row, cells).result:
                low, median, high = percent(result, "step")
                error = [[median - low], [high - median]]
                axes.errorbar(median, place, xerr=error, fmt="o", color="#1f6fb4", capsize=3)
            if (value := paper_percent(row)) is not None:
                axes.plot(value, place, "D", color="#d1495b")
        axes.plot([], [], "o", color="#1f6fb4", label="ours, 95 % interval")
        axes.plot([], [], "D", color="#d1495b", label="paper")
        axes.set_yticks(range(len(spec.rows)), [row.label for row in spec.rows])
        axes.set_ylim(len(spec.rows) - 0.4, -0.6)
        axes.set_xlabel(f"time added to a training step (%), {scale} scale")
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False, fontsize=9, loc="center right")
