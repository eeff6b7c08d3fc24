"""Loggers of a run: a CSV file, and Weights & Biases."""

import csv
from pathlib import Path
from typing import Any

import wandb
import wandb.apis.public  # both load late otherwise, in every forked run anew
import wandb.sdk.wandb_run
from lightning.pytorch.loggers import CSVLogger, WandbLogger

from reproduce.class_paths import class_paths
from reproduce.evaluations import training_config

#: Project that runs are logged in.
PROJECT = "level-set-loss"

#: Seconds that the server may take to open a run, and that what is left may take at its end: what
#: is not sent by then stays in the run's folder, for ``wandb sync``.
START_SECONDS, FINISH_SECONDS = 20, 120

#: Values of ``job.json`` beside the configuration by which runs are found and compared.
IDENTITY = ("experiment", "scale", "kind", "config_hash", "code", "commit")


def _whole(row: dict[str, str]) -> bool:
    """Whether a row is as it was written; a power cut may leave less, or other bytes."""
    try:
        return all(isinstance(float(value), float) for value in row.values()) and "step" in row
    except (TypeError, ValueError):
        return False


def csv_logger(folder: Path, keep: int = 0) -> CSVLogger:
    """A CSV logger that goes on with the rows of an earlier one up to a step.

    Args:
        folder: The run's folder.
        keep: Step after which the run goes on, 0 for a new one.
    """
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


def tags(job: dict[str, Any]) -> list[str]:
    """Row and column, architecture, trunk, data, losses, scale and seed.

    Args:
        job: Content of ``job.json``.
    """
    _, row, column = job["experiment"].split("/")
    config = training_config(job["config"])
    model = config["model"]
    options = model.get("init_args", {})
    losses = list(map(str, class_paths(options.get("criterion")))) or ["CrossEntropyLoss"]
    words = [row, column, model["class_path"].rsplit(".", 1)[-1], options.get("trunk", "")]
    words += ["MSC"] * bool(options.get("multiscale"))
    words += [loss.rsplit(".", 1)[-1] for loss in losses]
    for callback in config["trainer"].get("callbacks") or []:
        words += ["LevelSet"] * (callback.get("init_args", {}).get("lam", 0) > 0)
    words += [job["data"]["data"], job["scale"], f"seed {job['seed']}"]
    return list(dict.fromkeys(word for word in words if word))


def wandb_logger(folder: Path, job: dict[str, Any], *, offline: bool) -> WandbLogger:
    """A logger of Weights & Biases that keeps all it writes in a run's folder.

    Runs that go on keep their id, which is that of the run.

    Args:
        folder: The run's folder.
        job: Content of ``job.json``.
        offline: Whether it only writes files.
    """
    table, row, column = job["experiment"].split("/")
    kind = "" if job["kind"] == "training" else f" {job['kind']}"
    about = {**{key: job[key] for key in IDENTITY}, "data_digest": job["data"]["digest"]}
    return WandbLogger(
        project=PROJECT,
        name=f"{row} {column} {job['scale']} seed {job['seed']}{kind}",
        id=job["id"],
        save_dir=folder,
        offline=offline,
        group=table,
        job_type=column if job["kind"] == "training" else job["kind"],
        tags=tags(job),
        config={**job["config"], **about},
        settings=wandb.Settings(
            mode="offline" if offline else "online",  # whatever an earlier try has left
            console="off",
            silent=True,
            disable_git=True,  # the commit is logged; a remote's address may hold a password
            init_timeout=START_SECONDS,
            finish_timeout=FINISH_SECONDS,
        ),
    )
