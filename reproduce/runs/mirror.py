"""A run's copy in Weights & Biases. What is in the run's folder counts; this only follows it."""

import hashlib
import json
import os
import platform
import shutil
import sys
import traceback
from collections.abc import Callable
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

import wandb
from lightning.pytorch.loggers import Logger, WandbLogger

from reproduce.data.catalog import data_set
from reproduce.runs.loggers import wandb_logger
from reproduce.runs.record import dump_record, summary
from reproduce.runs.score_media import score_media
from reproduce.runs.wandb_mode import PATIENCE, server_answers

#: File of the run in Weights & Biases that tables are made from, and the entry of its summary with
#: the SHA-256 of that file.
RECORD, MARK = "record.json", "record_sha256"

#: Bytes of an offline run's file that has no content yet.
HEADER = 7

#: Checkpoints that are sent where the user asks, by the alias of their artifact.
CHECKPOINTS = {"best": "best.ckpt", "last": "last.ckpt"}


class Mirror:
    """The run of Weights & Biases that follows a run; does nothing where that is off.

    A run that was to be online is offline if the server does not answer now, or refuses it.

    Args:
        folder: The run's folder, in which all files are kept.
        job: Content of its ``job.json``.

    Attributes:
        logger: For Lightning; ``None`` if off.
        mode: ``online``, ``offline`` or ``off``.
    """

    def __init__(self, folder: Path, job: dict[str, Any]) -> None:
        self.folder = folder
        self.job = job
        self.mode = "off"
        self.logger: WandbLogger | None = None
        if job["wandb"] == "off":
            return
        # A service that serves other processes too keeps the id of a run that was killed.
        os.environ.pop("WANDB_SERVICE", None)
        # What is staged elsewhere is lost when the run is synchronised from another machine.
        os.environ["WANDB_DATA_DIR"] = str((folder / "wandb").resolve())
        remove_empty(folder / "wandb")
        online = job["wandb"] == "online" and server_answers(PATIENCE)
        if not (online and self._open("online")):
            self._open("offline")

    def _open(self, mode: str) -> bool:
        """Whether a run could be opened; sets ``logger`` and ``mode`` if so."""
        logger = wandb_logger(self.folder, self.job, offline=mode == "offline")
        if not _attempt(lambda: logger.experiment.id):
            _attempt(wandb.teardown)  # its service would still hold the id
            return False
        self.logger, self.mode = logger, mode
        return True

    @property
    def loggers(self) -> list[Logger]:
        """What Lightning logs to beside the files of the run; empty if off."""
        return [] if self.logger is None else [self.logger]

    def reference(self) -> dict[str, Any]:
        """The record's entry ``wandb``: id, mode and address, if there is one."""
        address = self.logger.experiment.url if self.logger and self.mode == "online" else None
        return {"id": self.job["id"], "mode": self.mode, "url": address}

    def close(self, record: dict[str, Any]) -> None:
        """Publish the record of a completed run and end the copy; that of a failed run is failed.

        Nothing that goes wrong here stops the run; the log has it.

        Args:
            record: As it will be written to ``record.json``.
        """
        run = wandb.run
        if run is None:  # off
            return
        completed = record["state"] == "completed"
        if completed:
            _attempt(lambda: self._add_details(run, record))
            # Without its record it is not finished: tables must not look for it.
            completed = _attempt(lambda: _add_record(run, record))
        _attempt(lambda: run.finish(exit_code=0 if completed else 1))

    def _add_details(self, run: wandb.Run, record: dict[str, Any]) -> None:
        run.summary["result"] = summary(record)
        if "confusion" in record:
            names = data_set(record["config"]["data"]["class_path"]).classes.names
            run.log({**score_media(record, names), "trainer/global_step": _step(record)})
        data = record["data"]
        environment: dict[str, Any] = {"python": sys.version, "platform": platform.platform()}
        environment |= {"packages": installed(), "hardware": record["hardware"]}
        self._add_json(run, "environment", "environment", environment)
        self._add_json(run, f"data-{data['data']}", "dataset", data)
        if self.job.get("wandb_checkpoints"):
            for alias, name in CHECKPOINTS.items():
                if (self.folder / name).is_file():
                    self._add_file(run, f"network-{self.job['id']}", "model", name, alias)

    def _add_json(self, run: wandb.Run, name: str, kind: str, content: dict[str, Any]) -> None:
        path = self.folder / "wandb" / f"{name}.json"
        path.write_text(json.dumps(content, indent=1, sort_keys=True) + "\n", encoding="utf-8")
        self._add_file(run, name, kind, str(path.relative_to(self.folder)), "latest")

    def _add_file(self, run: wandb.Run, name: str, kind: str, file: str, alias: str) -> None:
        artifact = wandb.Artifact(name, type=kind)
        path = self.folder.resolve() / file
        artifact.add_file(str(path), policy="immutable", skip_cache=True)
        run.log_artifact(artifact, aliases=[alias])


def remove_empty(folder: Path) -> None:
    """Remove offline runs that were killed before anything was written.

    ``wandb sync`` would stop at them, and leave out what the run did when it went on.
    """
    for path in folder.glob("offline-run-*/run-*.wandb"):
        if path.stat().st_size <= HEADER:
            shutil.rmtree(path.parent, ignore_errors=True)


def _attempt(work: Callable[[], object]) -> bool:
    """Whether something could be done; the log tells why not."""
    try:
        work()
    except Exception:  # noqa: BLE001 - no run is lost for its copy
        traceback.print_exc()
        return False
    return True


def _add_record(run: wandb.Run, record: dict[str, Any]) -> None:
    text = dump_record(record)
    path = Path(run.dir, RECORD)
    path.write_text(text, encoding="utf-8", newline="\n")
    run.save(path, base_path=run.dir, policy="now")
    run.summary[MARK] = hashlib.sha256(text.encode()).hexdigest()


def _step(record: dict[str, Any]) -> int:
    """Step of the record's scores as Lightning counts it, from 0."""
    return max(int(record["scores"]["last"]["step"]) - 1, 0)


def installed() -> dict[str, str]:
    """Version of every package that can be imported."""
    found = {d.metadata["Name"].lower(): d.version for d in distributions()}
    return dict(sorted(found.items()))
