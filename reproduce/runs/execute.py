"""Execution of one run: train, evaluate, write the record. Imported by the fork server once."""

import argparse
import contextlib
import json
import os
import platform
import signal
import sys
import traceback
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
import yaml

import reproduce.callbacks  # noqa: F401 - named in configurations
from reproduce.errors import UserError
from reproduce.files import read_json
from reproduce.runs.checkpoints import remove
from reproduce.runs.evaluate import evaluate
from reproduce.runs.failure import PEER, disk_full, explain, tell_failure, told_failure
from reproduce.runs.lock import Lock, adopt, take
from reproduce.runs.mirror import Mirror
from reproduce.runs.orphan import TOKEN, Watch, parent_gone
from reproduce.runs.record import write_record
from reproduce.runs.store import look_up
from reproduce.runs.train import choose, train

#: Exit status of a run that another process executes.
BUSY = 75

PACKAGES = ("torch", "torchvision", "lightning", "torchmetrics", "albumentations", "numpy")


def execute(folder: Path, mirror: Mirror | None = None) -> dict[str, Any]:
    """Run what ``folder/config.yaml`` and ``folder/job.json`` say.

    Args:
        folder: The run's folder.
        mirror: The run's copy in Weights & Biases, for the caller to close; ``None``: a new one.

    Returns:
        The record's part that comes from running.

    Raises:
        UserError: On a mistake in the configuration or the data.
        RuntimeError: If the run itself goes wrong.
    """
    job = read_json(folder / "job.json")
    mirror = mirror or Mirror(folder, job)
    torch.set_num_threads(job["threads"])
    config = yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8"))
    check_tasks(config)
    for name in job["needs"].values():
        if (state := look_up(folder.parent / name).state) != "completed":
            raise UserError(f"it needs run {name}, which is {state}")
    if job["kind"] != "training":
        return evaluate(folder, job, config, mirror)
    config, chosen = choose(folder, job, config)
    return {**train(folder, job, config, mirror), **chosen}


def rank() -> int:
    """Which of a run's processes this is: Lightning's own, or the tasks of a Slurm job."""
    return int(os.environ.get("LOCAL_RANK") or os.environ.get("SLURM_PROCID") or 0)


def check_tasks(config: dict[str, Any]) -> None:
    """Refuse a Slurm job with another number of tasks than the run has devices.

    Lightning would train on a part of the data with one process, and not say so.

    Raises:
        UserError: If they differ.
    """
    tasks = os.environ.get("SLURM_NTASKS")
    if tasks is None or os.environ.get("SLURM_JOB_NAME") in ("bash", "interactive"):
        return
    devices, nodes = (config["trainer"].get(key, 1) for key in ("devices", "num_nodes"))
    if isinstance(devices, int) and "evaluation" not in config and devices * nodes != int(tasks):
        raise UserError(
            f"expected {devices * nodes} Slurm tasks for devices={devices} and num_nodes={nodes}, "
            f"found {tasks}: set --ntasks-per-node={devices} (--slurm.ntasks_per_node={devices})"
        )


def base_record(job: dict[str, Any]) -> dict[str, Any]:
    """The record's part that is known before running."""
    keys = ("schema", "id", "experiment", "scale", "seed", "config", "config_hash", "data")
    return {
        **{key: job[key] for key in (*keys, "code", "commit", "command")},
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M"),
        "packages": {
            "python": platform.python_version(),
            **{name: version(name) for name in PACKAGES},
        },
    }


@contextlib.contextmanager
def _output_to(path: Path) -> Iterator[None]:
    """Send what this process prints to a file, that of libraries in C included."""
    sys.stdout.flush()
    sys.stderr.flush()
    with path.open("ab") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    yield
    with contextlib.suppress(OSError):  # the disk may be full
        sys.stdout.flush()
        sys.stderr.flush()


def _lock(folder: Path) -> Lock | None:
    """The run's lock: what the driver took for this process, else a new one."""
    token = os.environ.pop(TOKEN, None)
    return take(folder) if token is None else adopt(folder, token)


def _failure(folder: Path, error: Exception) -> dict[str, Any]:
    """The record's part about a failure; makes room for the record on a full disk."""
    with contextlib.suppress(OSError):
        traceback.print_exc()
    if disk_full(error):
        for path in folder.glob("*.part"):
            path.unlink()
    return {"state": "failed", "error": explain(error)}


def main(folder: Path) -> int:
    """Execute a run in this process and leave its record, also of a failure.

    Returns:
        0 if it completed, 1 if it failed, 75 if another process executes it.
    """
    first = rank() == 0
    started = TOKEN in os.environ or not first
    lock = _lock(folder) if first else None
    if first and lock is None:
        print(f"{folder.name} is executed by another process", file=sys.stderr)
        return BUSY
    with Watch(lock, parent_gone() if started else None), _output_to(folder / "log.txt"):
        warnings.filterwarnings("ignore", module="lightning")
        if look_up(folder).state == "completed":
            return 0
        job = read_json(folder / "job.json")
        if first:
            for name in ("record.json", PEER):
                (folder / name).unlink(missing_ok=True)  # of an earlier failure
        mirror = Mirror(folder, job)
        try:
            result = execute(folder, mirror)
        except Exception as error:  # noqa: BLE001 - whatever stops a run is its record
            result = _failure(folder, error)
            if not first:
                tell_failure(folder, result["error"])
            elif (other := told_failure(folder)) is not None:
                result["error"] = other
        if first:
            record = {**base_record(job), **result}
            mirror.close(record)
            write_record(folder / "record.json", record)
            print(json.dumps({"state": result["state"]}))
            if result["state"] == "completed":
                remove(folder)  # only now: a process killed before goes on from them
    return 0 if result["state"] == "completed" else 1


def run(folder: Path) -> int:
    """As :func:`main`, with an exit status of its own for a run that SIGTERM ended."""
    try:
        return main(folder)
    except SystemExit:  # Lightning's way out, with status 0 as if all were well
        return 128 + signal.SIGTERM


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    sys.exit(run(parser.parse_args().folder))
