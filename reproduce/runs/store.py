"""The folder of runs: which there are and in which state."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from reproduce.errors import UserError
from reproduce.runs.lock import owner
from reproduce.runs.queue import queued_job
from reproduce.runs.record import read_record

State = Literal["completed", "running", "queued", "interrupted", "failed", "unreadable", "absent"]


@dataclass(frozen=True)
class Run:
    """One folder under the runs.

    Attributes:
        folder: The folder, named after the run's id.
        state: ``unreadable`` if its record cannot be used, ``absent`` if it was never started.
        record: The record of a completed or failed run.
        problem: Why it failed or cannot be read, or where it runs, one line.
    """

    folder: Path
    state: State
    record: dict[str, Any] | None = None
    problem: str = ""


def look_up(folder: Path) -> Run:
    """State of one run's folder."""
    path = folder / "record.json"
    record, problem = None, ""
    if path.exists():
        try:
            record = read_record(path)
        except UserError as error:
            return Run(folder, "unreadable", None, str(error))
        if record["state"] == "completed":
            return Run(folder, "completed", record)
        problem = str(record["error"])
    # A failed run may be under way again.
    if (held := owner(folder)) is not None:
        return Run(folder, "running", None, f"on {held.host}, process {held.pid}")
    if (job := queued_job(folder)) is not None:
        return Run(folder, "queued", None, f"Slurm job {job}")
    if record is not None:
        return Run(folder, "failed", record, problem)
    return Run(folder, "interrupted" if (folder / "log.txt").exists() else "absent")


def all_runs(runs: Path) -> list[Run]:
    """Every run under a folder, by id."""
    if not runs.is_dir():
        return []
    return [look_up(p) for p in sorted(runs.iterdir()) if p.is_dir() and not p.name.startswith(".")]


def check_writable(folder: Path) -> None:
    """Make a folder and try to write there.

    Raises:
        UserError: If that fails.
    """
    probe = folder / f".probe.{os.getpid()}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.write_text("")
        probe.unlink()
    except OSError as error:
        raise UserError(
            f"{folder} cannot be written ({error.strerror}): free space or name another folder, "
            "for the runs with RUNS= (or --runs)"
        ) from None
