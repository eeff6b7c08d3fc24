"""Execution of one run: train, evaluate, write the record. Imported by the fork server once."""

import argparse
import contextlib
import hashlib
import json
import math
import os
import platform
import resource
import sys
import time
import traceback
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import lightning as L
import torch
import wandb
import wandb.apis.public
import wandb.sdk.wandb_run
import yaml
from lightning.pytorch.loggers import CSVLogger, Logger, WandbLogger
from torch import Tensor

import reproduce.callbacks  # noqa: F401 - named in configurations
from reproduce.errors import UserError
from reproduce.files import read_json, write_atomically
from reproduce.lightning_cli import build_cli
from reproduce.metrics.scores import iou_per_class
from reproduce.models import SegmentationModule
from reproduce.runs.record import write_record
from reproduce.runs.store import set_running

PACKAGES = ("torch", "torchvision", "lightning", "torchmetrics", "albumentations", "numpy")


def weights_hash(module: torch.nn.Module) -> str:
    """SHA-256 of a module's whole state, which proves that two runs started alike."""
    digest = hashlib.sha256()
    for name, value in module.state_dict().items():
        digest.update(name.encode())
        digest.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
    return digest.hexdigest()


class RecordCallback(L.Callback):
    """Collects the scores of every evaluation and tells the driver how far the run is.

    Args:
        folder: The run's folder, for the file ``progress``.
        expected: Images and valid pixels of the validation split, from the manifest.

    Raises:
        RuntimeError: At an evaluation that did not count exactly these, or a loss that is not
            finite.
    """

    def __init__(self, folder: Path, expected: dict[str, int]) -> None:
        self.folder = folder
        self.expected = expected
        self.history: list[dict[str, Any]] = []
        self.best: dict[str, Any] = {}
        self.last: dict[str, Any] = {}
        self.image_iou: dict[str, float] = {}
        self.initial = ""
        self._told = 0.0

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:  # noqa: ARG002
        """Hash the initial weights."""
        self.initial = weights_hash(pl_module)

    def on_train_batch_end(  # noqa: D102 - Lightning's hook
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,  # noqa: ARG002
        outputs: Any,  # noqa: ANN401
        batch: Any,  # noqa: ANN401
        batch_idx: int,  # noqa: ARG002
    ) -> None:
        loss = outputs["loss"].item()
        if not math.isfinite(loss):
            raise RuntimeError(
                f"the loss is {loss} at step {trainer.global_step}, images {' '.join(batch['id'])}"
            )
        now = time.monotonic()
        if now - self._told > 1:
            self._told = now
            write_atomically(self.folder / "progress", str(trainer.global_step))

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Check what was counted and keep the scores."""
        if trainer.sanity_checking or not isinstance(pl_module, SegmentationModule):
            return
        matrix, image_iou = _gather(trainer, pl_module)
        found = {"images": len(image_iou), "valid_pixels": int(matrix.sum())}
        if found != self.expected:
            raise RuntimeError(f"evaluated {found}, the data set's manifest has {self.expected}")
        iou = [None if math.isnan(v) else round(v * 100, 4) for v in iou_per_class(matrix).tolist()]
        known = [v for v in iou if v is not None]
        self.last = {
            "step": trainer.global_step,
            "miou": round(iou_per_class(matrix).nanmean().item() * 100, 4) if known else None,
            "pixel_accuracy": round(matrix.diagonal().sum().item() / int(matrix.sum()) * 100, 4),
            "iou": iou,
        }
        metrics = {k: round(float(v), 6) for k, v in trainer.callback_metrics.items()}
        self.history.append({"step": trainer.global_step, **metrics})
        self.image_iou = {k: round(v * 100, 2) for k, v in image_iou.items()}
        self.confusion = matrix.tolist()
        if not self.best or (self.last["miou"] or 0) > (self.best["miou"] or 0):
            self.best = self.last


def _gather(trainer: L.Trainer, module: SegmentationModule) -> tuple[Tensor, dict[str, float]]:
    """Confusion matrix and IoU of each image over all processes."""
    matrix = module.scores.confusion.clone()
    if trainer.world_size == 1:
        return matrix.cpu(), module.image_iou
    torch.distributed.all_reduce(matrix)
    parts: list[dict[str, float]] = [{} for _ in range(trainer.world_size)]
    torch.distributed.all_gather_object(parts, module.image_iou)
    return matrix.cpu(), {name: iou for part in parts for name, iou in part.items()}


def _loggers(folder: Path, job: dict[str, Any]) -> list[Logger]:
    loggers: list[Logger] = [CSVLogger(folder, name="", version="")]
    if job["wandb"] != "off":
        table, row, column = job["experiment"].split("/")
        loggers.append(
            WandbLogger(
                project="level-set-loss",
                name=f"{row} {column} {job['scale']} seed {job['seed']}",
                id=job["id"],
                save_dir=folder,
                offline=job["wandb"] == "offline",
                group=table,
                job_type=column,
                tags=[row, column, job["scale"], f"seed {job['seed']}"],
                config=job["config"],
                settings=wandb.Settings(console="off", silent=True),
            )
        )
    return loggers


def _hardware(trainer: L.Trainer) -> dict[str, Any]:
    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [line for line in info.read_text().splitlines() if line.startswith("model name")]
        cpu = names[0].split(":", 1)[1].strip() if names else cpu
    cuda = trainer.strategy.root_device.type == "cuda"
    return {
        "device": torch.cuda.get_device_name() if cuda else cpu,
        "devices": trainer.world_size,
        "threads": torch.get_num_threads(),
    }


def _memory(trainer: L.Trainer) -> int:
    """Peak memory in bytes: the accelerator's, or the process's own on a CPU."""
    if trainer.strategy.root_device.type == "cuda":
        return int(torch.cuda.max_memory_allocated())
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def execute(folder: Path) -> dict[str, Any]:
    """Run the experiment of ``folder/config.yaml`` and ``folder/job.json``.

    Returns:
        The record's part that comes from running.

    Raises:
        UserError: On a mistake in the configuration or the data.
        RuntimeError: If the run itself goes wrong.
    """
    job = read_json(folder / "job.json")
    torch.set_num_threads(job["threads"])
    start = time.perf_counter()
    config = yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8"))
    record = RecordCallback(folder, job["data"]["splits"][job["val_split"]])
    cli = build_cli(
        config,
        trainer={
            "logger": False,
            "default_root_dir": str(folder),
            "enable_checkpointing": False,
            "enable_progress_bar": False,
            "enable_model_summary": False,
            "log_every_n_steps": max(config["trainer"]["max_steps"] // 50, 1),
        },
    )
    cli.trainer.callbacks.append(record)  # type: ignore[attr-defined]
    cli.trainer.loggers = loggers = _loggers(folder, job)
    cli.trainer.fit(cli.model, cli.datamodule)
    trained = time.perf_counter() - start
    if not record.last or record.last["step"] != cli.trainer.global_step:
        cli.trainer.validate(cli.model, cli.datamodule, verbose=False)
    cli.trainer.save_checkpoint(folder / "last.ckpt")
    memory = _memory(cli.trainer)
    online = [logger for logger in loggers if isinstance(logger, WandbLogger)]
    address = online[0].experiment.url if online else None
    for logger in online:
        logger.experiment.finish()
    return {
        "state": "completed",
        "scores": {"last": record.last, "best": record.best},
        "confusion": record.confusion,
        "image_iou": record.image_iou,
        "history": record.history,
        "weights": {"initial": record.initial, "file": cli.model.weights_sha256},
        "timing": {
            "wall_seconds": round(time.perf_counter() - start, 1),
            "train_seconds": round(trained, 1),
            "peak_memory_bytes": memory,
            "steps": cli.trainer.global_step,
        },
        "hardware": _hardware(cli.trainer),
        "wandb": {"id": job["id"], "mode": job["wandb"], "url": address},
    }


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
