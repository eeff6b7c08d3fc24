"""Networks trained with and without the loss: curves and IoU per class, from the runs' records."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import isfinite
from statistics import fmean
from typing import Any, NamedTuple

from reproduce.data.catalog import DATA_SETS
from reproduce.experiments import Row
from reproduce.report.tables import Table
from reproduce.tables.curves import QUANTITIES, points_of
from reproduce.tables.markdown import CellRun

#: Kinds of pages whose runs are trainings.
TRAININGS = ("scores", "heaviside", "curves")


class Bar(NamedTuple):
    """IoU of a class in percent, mean over seeds; ``None`` where the class does not occur."""

    name: str
    base: float | None
    ours: float | None


class Network(NamedTuple):
    """A pair of cells.

    Attributes:
        key: Id on the page.
        table: Title of its table.
        label: Of the row.
        pictured: Whether images are shown: those of rows that the paper has too.
        names: Labels of the baseline and of what is compared with it.
        runs: Completed runs of both, by seed.
        bars: IoU by class.
    """

    key: str
    table: str
    label: str
    pictured: bool
    names: tuple[str, str]
    runs: tuple[Sequence[CellRun], Sequence[CellRun]]
    bars: Sequence[Bar]


def class_names(config: Mapping[str, Any], count: int) -> list[str]:
    """Names of a run's classes; numbers where the data set is none of ours."""
    known = DATA_SETS.get(str(config.get("data", {}).get("class_path")))
    names = list(known.classes.names) if known else []
    return names if len(names) == count else [f"class {i}" for i in range(count)]


def _mean_iou(runs: Sequence[CellRun]) -> list[float | None]:
    """Mean over seeds of each class's IoU; a class may occur in some of them alone."""
    columns = zip(*(_scores(run)["iou"] for run in runs), strict=False)
    found = ([v for v in column if v is not None and isfinite(v)] for column in columns)
    return [fmean(values) if values else None for values in found]


def _scores(run: CellRun) -> dict[str, Any]:
    record = run.record or {}
    scores: dict[str, Any] = record["scores"]["last"]
    return scores


def class_bars(base: Sequence[CellRun], ours: Sequence[CellRun]) -> list[Bar]:
    """IoU by class of two cells."""
    values = _mean_iou(base), _mean_iou(ours)
    config = (base[0].record or {})["config"]
    names = class_names(config, len(values[0]))
    return [Bar(*line) for line in zip(names, *values, strict=False)]


def _completed(table: Table, row: Row, column: str) -> list[CellRun]:
    return [run for run in table.cells.runs(row, column) if run.record and "scores" in run.record]


def networks(tables: Iterable[Table]) -> Iterator[Network]:
    """Pairs of cells of all tables, each pair of runs once."""
    seen: set[tuple[str, ...]] = set()
    for table in tables:
        if table.spec.page not in TRAININGS:
            continue
        ours_key, base_key = table.spec.gain
        labels = {column.key: column.label for column in table.spec.columns}
        for row in table.spec.rows:
            base, ours = (_completed(table, row, key) for key in (base_key, ours_key))
            ids = tuple(run.id for run in (*base, *ours))
            if not base or not ours or ids in seen:
                continue
            seen.add(ids)
            yield Network(
                f"network-{table.spec.name}-{row.key}",
                table.spec.title,
                row.label,
                bool(row.paper),
                (labels[base_key], labels[ours_key]),
                (base, ours),
                class_bars(base, ours),
            )


def _short(value: float) -> float:
    """Four digits, which is more than a curve shows."""
    return float(f"{value:.4g}")


def _series(run: CellRun) -> dict[str, list[list[float]]]:
    """Steps and values of the quantities that a run has."""
    points = {name: points_of(run.record, name) for name in QUANTITIES}
    return {
        name: [[step for step, _ in found], [_short(value) for _, value in found]]
        for name, found in points.items()
        if found
    }


def curve_data(found: Sequence[Network]) -> dict[str, Any]:
    """What the page's script draws: quantities, runs by id, and pairs by key."""
    runs = {run.id: run for network in found for cell in network.runs for run in cell}
    return {
        "quantities": {name: label for name, (label, _, _) in QUANTITIES.items()},
        "runs": {
            name: {"seed": run.seed, "series": _series(run)} for name, run in sorted(runs.items())
        },
        "networks": {
            network.key: {
                "names": network.names,
                "runs": [[run.id for run in cell] for cell in network.runs],
            }
            for network in found
        },
    }
