"""A run that trains a network, from the start or from where it was killed."""

import time
from pathlib import Path
from typing import Any

from lightning.pytorch.callbacks import Callback

from reproduce.callbacks.pictures import PicturesCallback
from reproduce.evaluations import training_config
from reproduce.experiments import with_option
from reproduce.lightning_cli import build_cli
from reproduce.runs.checkpoints import BestCheckpoint, Checkpoints, newest, position, save
from reproduce.runs.loggers import csv_logger
from reproduce.runs.machine import hardware, peak_memory
from reproduce.runs.mirror import Mirror
from reproduce.runs.monitor import Monitor
from reproduce.runs.parallel import check_processes
from reproduce.runs.record import read_record
from reproduce.runs.recording import RecordCallback
from reproduce.runs.whole_batch import WholeBatch


def choose(
    folder: Path, job: dict[str, Any], config: dict[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Set the option that a configuration leaves to be chosen to its best value.

    Args:
        folder: The run's folder; the runs that tried the values lie beside it.
        job: Content of ``job.json``.
        config: Content of ``config.yaml``, perhaps with a section ``choose``.

    Returns:
        The configuration to train, and the record's part about the choice, empty if there was none.
        Of equal scores the value named first wins.
    """
    if "choose" not in config:
        return config, {}
    option, values = config["choose"]["option"], config["choose"]["values"]
    tried = []
    for value in values:
        record = read_record(folder.parent / job["needs"][str(value)] / "record.json")
        tried.append(
            {"value": value, "miou": record["scores"]["last"]["miou"], "run": record["id"]}
        )
    best = max(tried, key=lambda trial: trial["miou"] or 0)
    chosen = {"option": option, "value": best["value"], "tried": tried}
    return with_option(training_config(config), option, best["value"]), {"chosen": chosen}


def train(
    folder: Path, job: dict[str, Any], config: dict[str, Any], mirror: Mirror
) -> dict[str, Any]:
    """Train and evaluate a network.

    Args:
        folder: The run's folder.
        job: Content of ``job.json``.
        config: Content of ``config.yaml``.
        mirror: The run's copy in Weights & Biases.

    Returns:
        The record's part that comes from running.
    """
    start = time.perf_counter()
    found = newest(folder)  # the first line of the log says so
    record = RecordCallback(folder, job["data"]["splits"][job["val_split"]])
    cli = build_cli(
        config,
        trainer={
            "logger": False,
            "default_root_dir": str(folder),
            "devices": 1,
            "enable_checkpointing": False,
            "enable_progress_bar": False,
            "enable_model_summary": False,
            "log_every_n_steps": max(config["trainer"]["max_steps"] // 50, 1),
        },
    )
    callbacks: list[Callback] = [record, Checkpoints(folder)]
    check_processes(config, cli.trainer.world_size)
    if cli.trainer.world_size > 1:
        callbacks.append(WholeBatch())
    if job.get("wandb_checkpoints"):
        callbacks.append(BestCheckpoint(folder, record))
    if mirror.logger is not None:
        names = cli.datamodule.data.classes.names
        callbacks += [Monitor(mirror.logger, record, names)]
        callbacks += [PicturesCallback(mirror.logger, names)]
    cli.trainer.callbacks += callbacks  # type: ignore[attr-defined]
    if found is not None:
        epoch, batches = position(found[1])
        cli.datamodule.resume = (epoch, batches * cli.datamodule.batch_size)
    csv = csv_logger(folder, keep=found[1]["global_step"] if found else 0)
    cli.trainer.loggers = [csv, *mirror.loggers, record.curve]
    cli.trainer.fit(
        cli.model,
        cli.datamodule,
        ckpt_path=found[0] if found else None,
        weights_only=True if found else None,
    )
    trained = time.perf_counter() - start
    if not record.last or record.last["step"] != cli.trainer.global_step:
        cli.trainer.validate(cli.model, cli.datamodule, verbose=False)
    save(cli.trainer, folder / "last.ckpt")
    device = cli.trainer.strategy.root_device
    memory = peak_memory(device)
    return {
        "state": "completed",
        "scores": {"last": record.last, "best": record.best},
        "confusion": record.confusion,
        "image_iou": record.image_iou,
        "history": record.history,
        "curve": record.curve.columns(),
        "weights": {"initial": record.initial, "file": cli.model.weights_sha256},
        "timing": {
            "wall_seconds": round(time.perf_counter() - start, 1),
            "train_seconds": round(trained, 1),
            "peak_memory_bytes": memory,
            "steps": cli.trainer.global_step,
        },
        "hardware": hardware(device, cli.trainer.world_size),
        "wandb": mirror.reference(),
    }
