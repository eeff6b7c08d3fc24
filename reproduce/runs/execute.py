"""Execution of one run: train, evaluate, write the record. Imported by the fork server once."""

import argparse
import contextlib
import json
import os
import platform
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
from reproduce.runs.evaluate import evaluate
from reproduce.runs.record import write_record
from reproduce.runs.store import set_running
from reproduce.runs.train import choose, train

PACKAGES = ("torch", "torchvision", "lightning", "torchmetrics", "albumentations", "numpy")


def execute(folder: Path) -> dict[str, Any]:
    """Run what ``folder/config.yaml`` and ``folder/job.json`` say.

    Returns:
        The record's part that comes from running.

    Raises:
        UserError: On a mistake in the configuration or the data.
        RuntimeError: If the run itself goes wrong.
    """
    job = read_json(folder / "job.json")
    torch.set_num_threads(job["threads"])
    config = yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8"))
    if job["kind"] != "training":
        return evaluate(folder, job, config)
    config, chosen = choose(folder, job, config)
    return {**train(folder, job, config), **chosen}


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
    sys.stdout.flush()
    sys.stderr.flush()


def main(folder: Path) -> int:
    """Execute a run in this process and leave its record, also of a failure.

    Returns:
        0 if it completed, 1 if it failed.
    """
    with _output_to(folder / "log.txt"):
        warnings.filterwarnings("ignore", module="lightning")
        job = read_json(folder / "job.json")
        set_running(folder)
        try:
            result = execute(folder)
        except Exception as error:  # noqa: BLE001 - whatever stops a run is its record
            traceback.print_exc()
            reason = " ".join(str(error).split()) or type(error).__name__
            named = reason if isinstance(error, UserError) else f"{type(error).__name__}: {reason}"
            result = {"state": "failed", "error": named}
        if int(os.environ.get("LOCAL_RANK", "0")) == 0:
            write_record(folder / "record.json", {**base_record(job), **result})
            print(json.dumps({"state": result["state"]}))
    return 0 if result["state"] == "completed" else 1


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    sys.exit(main(parser.parse_args().folder))
