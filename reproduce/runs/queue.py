"""Runs that wait in Slurm's queue: ``queued.json`` in their folders, and what squeue says."""

import getpass
import json
import subprocess
import time
from pathlib import Path

from reproduce.errors import UserError
from reproduce.files import read_json, write_atomically

NAME = "queued.json"

#: Seconds for which an answer of squeue is used again.
FRESH = 5.0

_answers: dict[str, tuple[float, frozenset[str] | None]] = {}


def set_queued(folder: Path, job: str) -> None:
    """Note the Slurm job that executes a run."""
    write_atomically(folder / NAME, json.dumps({"job": job, "user": getpass.getuser()}))
    _answers.clear()


def listed(user: str) -> frozenset[str] | None:
    """Numbers of a user's jobs in the queue, running ones too; ``None`` if squeue cannot say."""
    asked, found = _answers.get(user, (-FRESH, None))
    if time.monotonic() - asked >= FRESH:
        command = ["squeue", "--noheader", "--array", "--user", user, "--format=%i"]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
            found = frozenset(done.stdout.split())
        except (OSError, subprocess.SubprocessError):
            found = None
        _answers[user] = (time.monotonic(), found)
    return found


def queued_job(folder: Path) -> str | None:
    """Number of the Slurm job that will execute or executes a run, if it is still in the queue.

    Without an answer of squeue what the file says is believed, so that nothing is submitted twice.
    """
    if not (folder / NAME).is_file():
        return None
    try:
        note = read_json(folder / NAME)
        job, user = str(note["job"]), str(note["user"])
    except (UserError, KeyError):
        return None
    found = listed(user)
    return job if found is None or job in found else None
