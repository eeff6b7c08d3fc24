"""The folder of runs: which there are and in which state."""

import json
import os
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from reproduce.errors import UserError
from reproduce.files import read_json, write_atomically
from reproduce.runs.record import read_record

State = Literal["completed", "running", "interrupted", "failed", "unreadable", "absent"]


@dataclass(frozen=True)
class Run:
    """One folder under the runs.

    Attributes:
        folder: The folder, named after the run's id.
        state: ``unreadable`` if its record cannot be used, ``absent`` if it was never started.
        record: The record of a completed or failed run.
        problem: Why it failed or cannot be read, one line.
    """

    folder: Path
    state: State
    record: dict[str, Any] | None = None
    problem: str = ""


def _alive(status: dict[str, Any]) -> bool:
    """Whether the process that wrote a status still runs; on another host that is believed."""
    if status.get("host") != socket.gethostname():
        return True
    try:
        os.kill(int(status["pid"]), 0)
    except (ProcessLookupError, KeyError, ValueError):
        return False
    except PermissionError:
        return True
    return True


def look_up(folder: Path) -> Run:
    """State of one run's folder."""
    path = folder / "record.json"
    if path.exists():
        try:
            record = read_record(path)
        except UserError as error:
            return Run(folder, "unreadable", None, str(error))
        state: State = "completed" if record["state"] == "completed" else "failed"
        return Run(folder, state, record, str(record.get("error", "")))
    if not (folder / "status.json").exists():
        return Run(folder, "absent")
    try:
        running = _alive(read_json(folder / "status.json"))
    except UserError:
        running = False
    return Run(folder, "running" if running else "interrupted")


def all_runs(runs: Path) -> list[Run]:
    """Every run under a folder, by id."""
    if not runs.is_dir():
        return []
    return [look_up(p) for p in sorted(runs.iterdir()) if p.is_dir() and not p.name.startswith(".")]


def set_running(folder: Path) -> None:
    """Note that this process executes the run."""
    status = {"pid": os.getpid(), "host": socket.gethostname()}
    write_atomically(folder / "status.json", json.dumps(status))


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
