"""Loggers of a run: a CSV file, and Weights & Biases unless that is off."""

import csv
from pathlib import Path
from typing import Any

import wandb
import wandb.apis.public  # both load late otherwise, in every forked run anew
import wandb.sdk.wandb_run
from lightning.pytorch.loggers import CSVLogger, Logger, WandbLogger


def _whole(row: dict[str, str]) -> bool:
    """Whether a row is as it was written; a power cut may leave less, or other bytes."""
    try:
        return all(isinstance(float(value), float) for value in row.values()) and "step" in row
    except (TypeError, ValueError):
        return False


def _csv_logger(folder: Path, keep: int) -> CSVLogger:
    """A CSV logger that goes on with the rows of an earlier one up to a step."""
    path = folder / "metrics.csv"
    rows: list[dict[str, str]] = []
    if keep and path.is_file():
        text = path.read_text(encoding="utf-8", errors="replace").replace("\0", "")
        found = [{k: v for k, v in row.items() if v} for row in csv.DictReader(text.splitlines())]
        rows = [row for row in found if _whole(row) and int(row["step"]) < keep]
    path.unlink(missing_ok=True)  # Lightning would warn of it, and remove it as well
    logger = CSVLogger(folder, name="", version="")
    for row in rows:
        logger.experiment.metrics.append(row)
    return logger


def make_loggers(folder: Path, job: dict[str, Any], keep: int = 0) -> list[Logger]:
    """Loggers that write into a run's folder.

    Args:
        folder: The folder.
        job: Content of its ``job.json``.
        keep: Step after which the run goes on, 0 for a new one.
    """
    loggers: list[Logger] = [_csv_logger(folder, keep)]
    if job["wandb"] != "off":
        table, row, column = job["experiment"].split("/")
        kind = "" if job["kind"] == "training" else f" {job['kind']}"
        loggers.append(
            WandbLogger(
                project="level-set-loss",
                name=f"{row} {column} {job['scale']} seed {job['seed']}{kind}",
                id=job["id"],
                save_dir=folder,
                offline=job["wandb"] == "offline",
                group=table,
                job_type=column if job["kind"] == "training" else job["kind"],
                tags=[row, column, job["scale"], f"seed {job['seed']}"],
                config=job["config"],
                settings=wandb.Settings(console="off", silent=True),
            )
        )
    return loggers


def finish(loggers: list[Logger]) -> str | None:
    """End the runs of Weights & Biases.

    Returns:
        Address of the last one, if it has any.
    """
    address = None
    for logger in loggers:
        if isinstance(logger, WandbLogger):
            address = logger.experiment.url
            logger.experiment.finish()
    return address
