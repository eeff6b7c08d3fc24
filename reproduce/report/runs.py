"""Runs behind the cells, and where all of it comes from."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import yaml

from reproduce import __version__
from reproduce.experiments import Column, Row
from reproduce.report.links import anchor
from reproduce.report.tables import Table
from reproduce.runs.fingerprint import code_fingerprint
from reproduce.runs.job import commit
from reproduce.runs.record import summary
from reproduce.tables.markdown import CellRun


class Run(NamedTuple):
    """A run as it is shown, once.

    Attributes:
        id: Identity.
        record: Its record.
        result: What came out, in a few words.
        facts: Name and value of the rest.
        config: YAML.
        stale: Whether other code made it.
    """

    id: str
    record: Mapping[str, Any]
    result: str
    facts: Sequence[tuple[str, str]]
    config: str
    stale: bool


class RunCell(NamedTuple):
    """A cell with its runs; ``first`` has the ids of those that are shown here in full."""

    anchor: str
    row: Row
    column: Column
    runs: Sequence[CellRun]
    first: frozenset[str]


def show_run(run: CellRun) -> Run:
    """Everything the report says of a run with a record."""
    record = dict(run.record or {})
    now = code_fingerprint(record["config"])
    data, hardware, timing = record["data"], record["hardware"], record["timing"]
    splits = ", ".join(f"{v['images']} {name}" for name, v in data["splits"].items())
    scores = record.get("scores", {})
    shown = [f"{k} {v['miou']:.2f} at step {v['step']}" for k, v in scores.items() if "step" in v]
    facts = [
        ("seed", str(record["seed"])),
        ("mIoU", "; ".join(shown) or "–"),
        ("command", record["command"]),
        ("data", f"{data['data']}: {splits} images, manifest {data['digest']}"),
        ("code", record["code"] + ("" if now == record["code"] else f" (stale: now {now})")),
        ("commit", str(record.get("commit", "–"))),
        ("configuration", record["config_hash"]),
        ("initial weights", str(record["weights"].get("initial", "–"))),
        ("packages", " ".join(f"{k} {v}" for k, v in record.get("packages", {}).items())),
        ("hardware", f"{hardware['devices']} × {hardware['device']}"),
        ("took", f"{timing['wall_seconds']:.0f} s, {timing['peak_memory_bytes'] / 2**20:.0f} MiB"),
        ("date (UTC)", record["date"]),
    ]
    config = yaml.safe_dump(record["config"], sort_keys=False, allow_unicode=True)
    return Run(run.id, record, summary(record), facts, config, now != record["code"])


def all_runs(tables: Iterable[Table]) -> dict[str, Run]:
    """Runs of all tables by id."""
    found = {run.id: run for table in tables for run in table.runs if run.record is not None}
    return {name: show_run(run) for name, run in found.items()}


def run_cells(tables: Sequence[Table]) -> dict[str, list[RunCell]]:
    """Cells of each table with their runs, each run marked where it comes first."""
    seen: set[str] = set()
    out: dict[str, list[RunCell]] = {}
    for table in tables:
        cells = table.cells
        for row, column in table.spec.cells():
            runs = cells.runs(row, column.key)
            new = frozenset(run.id for run in runs if run.record is not None) - seen
            seen |= new
            where = anchor(table.spec.name, row.key, column.key)
            out.setdefault(table.spec.name, []).append(RunCell(where, row, column, runs, new))
    return out


def _counts(values: Iterable[str]) -> str:
    return ", ".join(f"{value} ({count})" for value, count in sorted(Counter(values).items()))


def provenance(runs: Mapping[str, Run]) -> list[tuple[str, str]]:
    """Name and value of what the page was made from; in brackets how many runs."""
    records = [run.record for run in runs.values()]
    versions: dict[str, set[str]] = {}
    for record in records:
        for name, version in record.get("packages", {}).items():
            versions.setdefault(name, set()).add(version)
    dates = sorted(record["date"] for record in records)
    stale = sum(run.stale for run in runs.values())
    return [
        ("page written by", f"version {__version__}, commit {commit() or '–'}"),
        ("runs", f"{len(runs)}, {stale} of them by code that has changed since"),
        ("their dates", f"{dates[0]} to {dates[-1]} UTC" if dates else "–"),
        ("commits", _counts(str(record.get("commit", "–")) for record in records)),
        ("code fingerprints", _counts(record["code"] for record in records)),
        ("data", _counts(f"{r['data']['data']} {r['data']['digest'][:12]}" for r in records)),
        (
            "packages",
            ", ".join(f"{n} {' / '.join(sorted(v))}" for n, v in sorted(versions.items())),
        ),
        ("hardware", _counts(record["hardware"]["device"] for record in records)),
    ]
