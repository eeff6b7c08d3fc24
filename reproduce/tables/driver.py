"""One table from specification to Markdown: plan, run what is missing, render."""

import json
import os
import sys
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from reproduce.data.manifest import examination_bar
from reproduce.errors import UserError
from reproduce.experiments import REPOSITORY, TableSpec, read_table
from reproduce.files import read_json, write_atomically
from reproduce.runs.fingerprint import code_fingerprint
from reproduce.runs.identity import config_hash
from reproduce.runs.job import Job
from reproduce.runs.lock import guard
from reproduce.runs.plan import (
    cell_config,
    distinct,
    local_weights,
    plan,
    scale_about,
    to_do,
    trainer_overrides,
)
from reproduce.runs.record import dump_record, read_record
from reproduce.runs.store import all_runs, check_writable
from reproduce.tables.markdown import CellRun
from reproduce.tables.pages import PAGES

#: State of the runs that tables are made of.
COMPLETED = "completed"

#: What a cell shows for a run that has no completed record.
NOTES = {"absent": "not run"}


@dataclass(frozen=True)
class Request:
    """What was asked of the driver.

    Attributes:
        name: Table.
        scale: Scale.
        seeds: Number of seeds.
        data: Root of the data set; ``None``: that of the configuration.
        runs: Folder of the runs.
        out: Folder of the tables.
        only: Glob on cells.
        train: Whether missing runs are executed.
        jobs: Runs side by side, 0 for one per core.
        wandb: ``auto``, ``online``, ``offline`` or ``off``.
        wandb_checkpoints: Whether the best and the last checkpoint are mirrored too.
        flags: Lightning flags.
        launcher: ``local`` or ``slurm``.
        slurm: Options of sbatch.
        retry: Whether failed runs are tried again.
        source: Where records are read: ``local`` or ``wandb:ENTITY/PROJECT``.
    """

    name: str
    scale: str = "demo"
    seeds: int = 3
    data: Path | None = None
    runs: Path = Path("runs")
    out: Path = REPOSITORY / "tables"
    only: str = "*"
    train: bool = True
    jobs: int = 0
    wandb: str = "auto"
    wandb_checkpoints: bool = False
    flags: Sequence[str] = ()
    launcher: str = "local"
    slurm: Mapping[str, str | bool] = field(default_factory=dict)
    retry: bool = True
    source: str = "local"

    @property
    def trains(self) -> bool:
        """Whether missing runs are executed: never where records come from elsewhere."""
        return self.train and self.source == "local"


def plan_request(request: Request, spec: TableSpec, problems: list[str] | None = None) -> list[Job]:
    """Jobs of a request; with a list for ``problems`` missing data is noted there."""
    return plan(
        spec,
        scale=request.scale,
        seeds=request.seeds,
        runs=request.runs,
        data=request.data,
        only=request.only,
        overrides=request.flags,
        progress=examination_bar,
        problems=problems,
    )


def run_missing(request: Request, jobs: Sequence[Job]) -> int:
    """Execute the jobs that have no completed run, or submit them.

    Returns:
        How many runs failed or cannot be used.
    """
    if request.jobs < 0:
        raise UserError(f"expected at least 1 run at a time, got --jobs {request.jobs}")
    jobs = distinct(jobs)
    states = {job.id: job.look_up() for job in jobs}
    unreadable = [run for run in states.values() if run.state == "unreadable"]
    for run in unreadable:
        print(f"reproduce: {run.problem}", file=sys.stderr)
    missing, left = to_do(jobs), 0
    if not request.retry:
        every = len(missing)
        missing = [job for job in missing if job.look_up().state != "failed"]
        left = every - len(missing)
    bad = len(unreadable) + left
    if not missing:
        return bad
    from reproduce.runs.wandb_mode import wandb_mode

    check_writable(request.runs)
    local_weights(request.data)
    mode = wandb_mode(request.wandb)
    if request.launcher == "slurm":
        from reproduce.runs.slurm import SlurmLauncher

        return bad + SlurmLauncher(request.slurm, mode, request.wandb_checkpoints).run(missing)
    from reproduce.runs.devices import visible_devices
    from reproduce.runs.launch import Launcher

    devices = visible_devices()
    at_once = request.jobs or max(os.cpu_count() or 1, len(devices))
    share = max(-(-request.jobs // max(len(devices), 1)), 1)
    total = len({job.id for job in (*jobs, *missing)})
    print(f"{len(missing)} of {total} runs to do, {at_once} at a time, W&B {mode}", flush=True)
    launcher = Launcher(at_once, mode, devices, share, request.wandb_checkpoints)
    return bad + launcher.run(missing)


def _rank(record: dict[str, Any]) -> tuple[bool, str]:
    """Later is better, but none that is stale is better than one that is not."""
    return record["code"] == code_fingerprint(record["config"]), str(record["date"])


def _local_records(request: Request) -> list[dict[str, Any]]:
    """Completed records, logged and committed."""
    found: list[dict[str, Any]] = []
    index = request.out / request.scale / f"{request.name}.json"
    if index.exists():
        folder = index.parent / "records"
        found += [read_record(folder / f"{n}.json") for n in read_json(index)["records"].values()]
    found += [run.record for run in all_runs(request.runs) if run.record and run.state == COMPLETED]
    return found


def _known_records(
    request: Request, hashes: Collection[str], digests: set[str]
) -> dict[str, dict[str, Any]]:
    """Completed records by hash of their configuration, the best of each.

    Args:
        request: Where to look.
        hashes: Those that are wanted, at least.
        digests: Data sets that count; all, if empty.
    """
    if request.source == "local":
        found = _local_records(request)
    else:
        from reproduce.runs.wandb_source import wandb_records

        found = wandb_records(request.source, hashes)
    known = [r for r in found if not digests or r["data"]["digest"] in digests]
    return {record["config_hash"]: record for record in sorted(known, key=_rank)}


def cell_runs(request: Request, spec: TableSpec, jobs: Iterable[Job]) -> list[CellRun]:
    """Every cell and seed with its record: from the runs, else from the table as it stands.

    A record counts only if it is of the same data as the jobs; the failure of a job goes before
    an older record.
    """
    by_hash = {config_hash(job.config): job for job in jobs}
    digests = {job.data["digest"] for job in by_hash.values()}
    if request.source != "local":  # what is in the folder of runs says nothing of them
        by_hash = {}
    flags = trainer_overrides(request.flags)
    keys = {
        (row.key, column.key, seed): config_hash(
            cell_config(spec, row, column, request.scale, seed, flags)
        )
        for row, column in spec.cells()
        for seed in range(min(request.seeds, column.seeds or request.seeds))
    }
    known = _known_records(request, set(keys.values()), digests)
    cells = []
    for place, key in keys.items():
        run = by_hash[key].look_up() if key in by_hash else None
        record = known.get(key)
        if record is not None and (run is None or run.state not in ("failed", "unreadable")):
            cells.append(CellRun(*place, record["id"], record))
            continue
        name, state, problem = ("", "absent", "")
        if run is not None and run.state != "absent":  # which the list of records cannot name
            name, state, problem = run.folder.name, run.state, run.problem
        cells.append(CellRun(*place, name, None, NOTES.get(state, state), problem))
    return cells


def make_table(request: Request) -> int:
    """Do all of it; prints the table.

    Returns:
        Exit status: 0, or 1 if a run failed.

    Raises:
        UserError: On the user's mistakes, before anything runs.
    """
    spec = read_table(request.name, request.scale)
    request = replace(request, name=spec.name)
    target = request.out / request.scale
    jobs = plan_request(request, spec) if request.trains or request.data else []
    check_writable(target)
    failed = run_missing(request, jobs) if request.trains else 0
    with guard(target / ".lock"):  # tables that share runs write each other's pages
        cells = cell_runs(request, spec, jobs)
        markdown = write_table(request, spec, cells)
    print(f"\n{markdown}\nwritten to {target / spec.name}.md")
    return 1 if failed else 0


def render_cells(request: Request, spec: TableSpec, cells: Sequence[CellRun]) -> str:
    """Markdown of a table's cells; flags that were given stand in its head."""
    about = scale_about(request.scale)
    if request.flags:
        about += f" Flags over the configuration: `{' '.join(request.flags)}`."
    return PAGES[spec.page].render(spec, request.scale, about, cells)


def committed_cells(index: Path) -> tuple[Request, TableSpec, list[CellRun]]:
    """A table as its list of records, ``<out>/<scale>/<name>.json``, has it."""
    source, out, scale = read_json(index), index.parents[1], index.parent.name
    spec = read_table(source["table"], scale)
    request = Request(
        spec.name, scale, source["seeds"], runs=out / "none", out=out, flags=source["flags"]
    )
    return request, spec, cell_runs(request, spec, [])


def _write_page(request: Request, spec: TableSpec, cells: Sequence[CellRun]) -> str:
    """Write Markdown and pictures."""
    target = request.out / request.scale
    text = render_cells(request, spec, cells)
    PAGES[spec.page].draw(spec, request.scale, cells, target)
    write_atomically(target / f"{spec.name}.md", text)
    return text


def write_table(request: Request, spec: TableSpec, cells: Sequence[CellRun]) -> str:
    """Write Markdown, pictures, records and the list of records of a table.

    Other tables of the scale that share one of its runs are written again from its new record.

    Returns:
        The Markdown.
    """
    target = request.out / request.scale
    used = {}
    for cell in cells:
        if cell.record is not None:
            used[cell.record["config_hash"]] = cell.id
            write_atomically(target / "records" / f"{cell.id}.json", dump_record(dict(cell.record)))
    source = {
        "table": spec.name,
        "scale": request.scale,
        "seeds": request.seeds,
        "flags": list(request.flags),
        "records": used,
    }
    text = _write_page(request, spec, cells)
    write_atomically(target / f"{spec.name}.json", json.dumps(source, indent=1) + "\n")
    for index in sorted(target.glob("*.json")):
        shared = set(used.values()) & set(read_json(index)["records"].values())
        if index.stem != spec.name and shared:
            _write_page(*committed_cells(index))
    return text
