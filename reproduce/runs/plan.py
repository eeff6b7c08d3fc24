"""From cells of a table to jobs: which runs there are, which are missing, what they need."""

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from reproduce.data.catalog import data_set
from reproduce.data.manifest import data_manifest
from reproduce.errors import UserError
from reproduce.experiments import (
    EXPERIMENTS,
    REPOSITORY,
    Column,
    Row,
    TableSpec,
    change_callback,
    compose,
    merge,
    read_yaml,
)
from reproduce.files import write_atomically
from reproduce.runs.fingerprint import code_fingerprint
from reproduce.runs.identity import config_hash, identity_config, run_id
from reproduce.runs.record import SCHEMA
from reproduce.runs.store import Run, look_up

#: Digest of data that is not there.
UNKNOWN = "unknown"


@dataclass(frozen=True)
class Job:
    """One experiment and the folder of its run.

    Attributes:
        experiment: Such as ``table1/fcn32s_resnet101/level_set``.
        scale: Scale.
        seed: Seed.
        config: Full configuration, paths included.
        data: Manifest of its data.
        folder: ``runs/<id>``.
    """

    experiment: str
    scale: str
    seed: int
    config: dict[str, Any]
    data: dict[str, Any]
    folder: Path

    @property
    def id(self) -> str:
        """Identity of the run."""
        return self.folder.name

    @property
    def steps(self) -> int:
        """Length of the schedule."""
        return int(self.config["trainer"]["max_steps"])

    def look_up(self) -> Run:
        """State of the run."""
        return look_up(self.folder)

    def describe(self, *, threads: int, wandb: str) -> dict[str, Any]:
        """Content of ``job.json``, which the executing process reads."""
        options = self.config["data"]["init_args"]
        table, cell = self.experiment.split("/", 1)
        return {
            "schema": SCHEMA,
            "id": self.id,
            "experiment": self.experiment,
            "scale": self.scale,
            "seed": self.seed,
            "config": identity_config(self.config),
            "config_hash": config_hash(self.config),
            "data": self.data,
            "val_split": options["val_split"],
            "code": code_fingerprint(self.config),
            "commit": commit(),
            "command": f"reproduce table {table} --scale {self.scale} --only {cell}",
            "threads": threads,
            "wandb": wandb,
        }


def commit() -> str | None:
    """Commit of the code, marked ``+`` where files differ from it; ``None`` outside git."""

    def git(*words: str) -> str:
        command = ["git", "-C", str(REPOSITORY), *words]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        head = git("rev-parse", "--short=12", "HEAD")
        return head + (
            "+" if git("status", "--porcelain", "--", "reproduce", "experiments") else ""
        )
    except (OSError, subprocess.CalledProcessError):
        return None


#: Sections of a configuration that flags may change.
NAMED_SECTIONS = ("trainer", "model", "data")


def trainer_overrides(arguments: Sequence[str]) -> dict[str, Any]:
    """Lightning flags of the command line as a configuration.

    Args:
        arguments: ``--trainer.devices=2`` or ``--trainer.devices 2``, any number of them; the
            sections ``model`` and ``data`` are understood as well.

    Raises:
        UserError: If an argument has another form.
    """
    config: dict[str, Any] = {}
    words = list(arguments)
    while words:
        word = words.pop(0)
        name, equals, value = word.partition("=")
        section = name.removeprefix("--").split(".")
        if not name.startswith("--") or len(section) < 2 or section[0] not in NAMED_SECTIONS:
            raise UserError(f"expected a Lightning flag like --trainer.devices=2, got {word!r}")
        if not equals:
            if not words:
                raise UserError(f"expected a value after {word}")
            value = words.pop(0)
        nested: Any = yaml.safe_load(value)
        for key in reversed(section):
            nested = {key: nested}
        config = merge(config, nested)
    return config


def per_device(config: dict[str, Any]) -> dict[str, Any]:
    """A configuration whose batch is split over its devices, so that the whole batch stays.

    Raises:
        UserError: If the batch cannot be split evenly.
    """
    devices, nodes = (config["trainer"].get(key, 1) for key in ("devices", "num_nodes"))
    if not isinstance(devices, int) or devices * nodes <= 1:
        return config
    batch = config["data"]["init_args"]["batch_size"]
    if batch % (devices * nodes):
        raise UserError(
            f"a batch of {batch} cannot be split over {devices * nodes} devices: choose a number "
            "of devices that divides it"
        )
    return merge(config, {"data": {"init_args": {"batch_size": batch // (devices * nodes)}}})


def find_manifest(
    config: Mapping[str, Any],
    runs: Path,
    progress: Any = None,  # noqa: ANN401 - tqdm's class
) -> dict[str, Any]:
    """Manifest of a configuration's data, which is generated first where it can be.

    Raises:
        UserError: If the data is missing or bad.
    """
    data = data_set(config["data"]["class_path"])
    options = config["data"]["init_args"]
    if not options.get("root"):
        raise UserError(
            f"no data: name the folder of {data.name} with DATA=FOLDER (or --data FOLDER)"
        )
    root = Path(options["root"])
    if data.make is not None:
        data.make(root)
    splits = tuple(dict.fromkeys((options["train_split"], options["val_split"])))
    return data_manifest(data, root, splits, runs / ".manifests", progress)


def cell_config(
    table: TableSpec,
    row: Row,
    column: Column,
    scale: str,
    seed: int,
    flags: Mapping[str, Any],
    folder: Path = EXPERIMENTS,
) -> dict[str, Any]:
    """Configuration of a cell and a seed, with the flags of the command line over it."""
    config = merge(compose(row.arch, table.data, column.loss or "", scale, folder), row.config)
    if row.level_set and column.key != table.gain[1]:
        config = change_callback(config, "LevelSetCallback", row.level_set)
    return merge({"seed_everything": seed, **config}, flags)


def plan(
    table: TableSpec,
    *,
    scale: str,
    seeds: int,
    runs: Path,
    data: Path | None = None,
    only: str = "*",
    overrides: Sequence[str] = (),
    progress: Any = None,  # noqa: ANN401 - tqdm's class
    folder: Path = EXPERIMENTS,
    problems: list[str] | None = None,
) -> list[Job]:
    """Jobs of every cell that is trained, with seeds 0 to ``seeds - 1``.

    Seeds go round first, so that an unfinished table has the first seeds of every row. With a list
    for ``problems``, missing or bad data is noted there, and the jobs have no data.

    Raises:
        UserError: On any mistake in the request, the experiments or the data.
    """
    if seeds < 1:
        raise UserError(f"expected at least 1 seed, got {seeds}: set SEEDS=3 (or --seeds 3)")
    flags = trainer_overrides(overrides)
    manifests: dict[tuple[str, ...], dict[str, Any]] = {}
    jobs = []
    for seed in range(seeds):
        for row, column in table.cells(only):
            config = cell_config(table, row, column, scale, seed, flags, folder)
            options = config["data"]["init_args"]
            if data is not None:
                options["root"] = str(data)
            key = (options["train_split"], options["val_split"])
            if key not in manifests:
                try:
                    manifests[key] = find_manifest(config, runs, progress)
                except UserError as error:
                    if problems is None:
                        raise
                    problems.append(str(error))
                    manifests[key] = {"digest": UNKNOWN}
            jobs.append(
                Job(
                    experiment=f"{table.name}/{row.key}/{column.key}",
                    scale=scale,
                    seed=seed,
                    config=config,
                    data=manifests[key],
                    folder=runs / run_id(config, manifests[key]["digest"]),
                )
            )
    return jobs


def distinct(jobs: Sequence[Job]) -> list[Job]:
    """Jobs without those whose run an earlier one has: cells may share a run."""
    first: dict[str, Job] = {}
    for job in jobs:
        first.setdefault(job.id, job)
    return list(first.values())


def scale_about(scale: str, folder: Path = EXPERIMENTS) -> str:
    """What a scale is and how it departs from the paper, for the head of a table."""
    return " ".join(str(read_yaml(folder / "scale" / f"{scale}.yaml").get("about", "")).split())


def write_job(job: Job, *, threads: int, wandb: str) -> dict[str, Any]:
    """Prepare the folder of a run: configuration and description; earlier logs are kept.

    Returns:
        What was written to ``job.json``.
    """
    described = job.describe(threads=threads, wandb=wandb)
    job.folder.mkdir(parents=True, exist_ok=True)
    config = per_device(job.config)
    write_atomically(job.folder / "config.yaml", yaml.safe_dump(config, sort_keys=False))
    write_atomically(job.folder / "job.json", json.dumps(described, indent=1))
    return described


def local_weights(data: Path | None) -> None:
    """Let weights be found in a folder ``weights`` in or beside the data, unless one is named."""
    if data is not None:
        for folder in (data.resolve() / "weights", data.resolve().parent / "weights"):
            if folder.is_dir():
                os.environ.setdefault("REPRODUCE_WEIGHTS", str(folder))
