"""From cells of a table to jobs: which runs they are, and which runs those need."""

import contextlib
import os
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from reproduce.data.catalog import data_set
from reproduce.data.manifest import data_manifest
from reproduce.errors import UserError
from reproduce.evaluations import evaluation_config, training_config
from reproduce.experiments import (
    EXPERIMENTS,
    Column,
    Row,
    TableSpec,
    change_callback,
    compose,
    merge,
    read_yaml,
    with_option,
)
from reproduce.runs.identity import run_id
from reproduce.runs.job import Job
from reproduce.runs.lock import guard
from reproduce.runs.parallel import per_process

#: Digest of data that is not there.
UNKNOWN = "unknown"


#: Sections of a configuration that flags may change.
NAMED_SECTIONS = ("trainer", "model", "data")


def trainer_overrides(arguments: Sequence[str]) -> dict[str, Any]:
    """Lightning flags of the command line as a configuration.

    Args:
        arguments: ``--trainer.devices=2`` or ``--trainer.devices 2``, any number of them; the
            sections ``model`` and ``data`` are understood as well. ``--trainer.callbacks+=CLASS``
            adds a callback.

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
        try:
            nested: Any = yaml.safe_load(value)
        except yaml.YAMLError:
            raise UserError(f"{name}: expected a value in YAML, got {value!r}") from None
        if name.endswith("+"):
            place = config
            for key in section[:-1]:
                place = place.setdefault(key, {})
            item = {"class_path": nested} if isinstance(nested, str) else nested
            place.setdefault(section[-1], []).append(item)
            continue
        for key in reversed(section):
            nested = {key: nested}
        config = merge(config, nested)
    return config


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
        with contextlib.ExitStack() as stack:
            with contextlib.suppress(OSError):  # data that is there may lie where none can write
                stack.enter_context(guard(root.parent / f".{root.name}.lock"))
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
    loss = row.loss if column.loss == "row" else column.loss
    if loss is None:
        raise UserError(f"{table.name}.yaml, row {row.key}: name its loss for column {column.key}")
    config = merge(compose(row.arch, table.data, loss, scale, folder), row.config)
    if row.level_set and loss == "level_set":
        config = change_callback(config, "LevelSetCallback", row.level_set)
    config = merge({"seed_everything": seed, **config}, flags)
    if row.choose and column.loss == "row":
        config["choose"] = dict(row.choose)
    evaluation = evaluation_config(table, row, column, scale, folder)
    if evaluation is None:
        return config
    if "overhead" in evaluation:  # time does not hang on the weights: no file is wanted
        config = merge(config, {"model": {"init_args": {"weights": None}}})
    return {**config, "evaluation": evaluation}


@dataclass
class _Planner:
    """Makes jobs of one request; what they need with them."""

    table: TableSpec
    scale: str
    runs: Path
    data: Path | None
    flags: Mapping[str, Any]
    folder: Path
    progress: Any
    problems: list[str] | None
    manifests: dict[tuple[str, ...], dict[str, Any]] = field(default_factory=dict)

    def manifest(self, config: dict[str, Any]) -> dict[str, Any]:
        options = config["data"]["init_args"]
        key = (options["train_split"], options["val_split"])
        if key not in self.manifests:
            try:
                self.manifests[key] = find_manifest(config, self.runs, self.progress)
            except UserError as error:
                if self.problems is None:
                    raise
                self.problems.append(str(error))
                self.manifests[key] = {"digest": UNKNOWN, "splits": {key[1]: {"images": 0}}}
        return self.manifests[key]

    def job(
        self,
        row: Row,
        column: Column,
        config: dict[str, Any],
        needs: Mapping[str, Job] | None = None,
    ) -> Job:
        manifest = self.manifest(config)
        per_process(config, manifest)  # what cannot be divided is refused before anything runs
        return Job(
            experiment=f"{self.table.name}/{row.key}/{column.key}",
            scale=self.scale,
            seed=config["seed_everything"],
            config=config,
            data=manifest,
            folder=self.runs / run_id(config, manifest["digest"]),
            needs=needs or {},
        )

    def candidates(self, row: Row, column: Column, config: dict[str, Any]) -> dict[str, Job]:
        """Trainings on four fifths of the training images, by value of the option to choose."""
        if "choose" not in config:
            return {}
        choice, split = config["choose"], config["data"]["init_args"]["train_split"]
        shorter = read_yaml(self.folder / "scale" / f"{self.scale}.yaml").get("choose", {})
        base = merge(merge(training_config(config), shorter), self.flags)
        base["seed_everything"] = 0
        base = with_option(base, "data.init_args.train_split", f"{split}.fit")
        base = with_option(base, "data.init_args.val_split", f"{split}.held")
        return {
            str(value): self.job(row, column, with_option(base, choice["option"], value))
            for value in choice["values"]
        }

    def cell(self, row: Row, column: Column, seed: int) -> Job:
        """The job of a cell, whose needs are trained networks and parameters of the CRF."""
        config = cell_config(self.table, row, column, self.scale, seed, self.flags, self.folder)
        if self.data is not None:
            config["data"]["init_args"]["root"] = str(self.data)
        evaluation = config.get("evaluation")
        if evaluation is None:
            return self.job(row, column, config, self.candidates(row, column, config))
        if "overhead" in evaluation:
            return self.job(row, column, config)
        trained = self.cell(row, replace(column, evaluate=None), seed)
        needs = {"checkpoint": trained}
        if "timing" in evaluation:
            other = next(c for c in self.table.columns if c.key == self.table.gain[0])
            needs["other"] = self.cell(row, replace(other, evaluate=None), seed)
        if evaluation["crf"] and "search" in evaluation["crf"]:
            first = self.cell(row, replace(column, evaluate=None), 0)
            searched = {**first.config, "evaluation": {"search": evaluation["crf"]["search"]}}
            needs["search"] = self.job(row, column, searched, {"checkpoint": first})
        return self.job(row, column, config, needs)


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
    """Jobs of every cell, with seeds 0 to ``seeds - 1``.

    Seeds go round first, so that an unfinished table has the first seeds of every row. With a list
    for ``problems``, missing or bad data is noted there, and the jobs have no data.

    Raises:
        UserError: On any mistake in the request, the experiments or the data.
    """
    if seeds < 1:
        raise UserError(f"expected at least 1 seed, got {seeds}: set SEEDS=3 (or --seeds 3)")
    flags = trainer_overrides(overrides)
    planner = _Planner(table, scale, runs, data, flags, folder, progress, problems)
    return [
        planner.cell(row, column, seed)
        for seed in range(seeds)
        for row, column in table.cells(only)
        if column.seeds is None or seed < column.seeds
    ]


def distinct(jobs: Iterable[Job]) -> list[Job]:
    """Jobs without those whose run an earlier one has: cells may share a run."""
    first: dict[str, Job] = {}
    for job in jobs:
        first.setdefault(job.id, job)
    return list(first.values())


def with_needs(jobs: Iterable[Job]) -> list[Job]:
    """All jobs, each after those that it needs."""

    def walk(job: Job) -> Iterator[Job]:
        for need in job.needs.values():
            yield from walk(need)
        yield job

    return distinct(each for job in jobs for each in walk(job))


#: States of a run that a driver executes, or waits for.
TO_DO = ("absent", "interrupted", "failed", "running", "queued")


def to_do(jobs: Iterable[Job], states: Container[str] = TO_DO) -> list[Job]:
    """The runs that are missing, with those that they need and are missing too, needs first."""

    def walk(job: Job) -> Iterator[Job]:
        if job.look_up().state in states:
            for need in job.needs.values():
                yield from walk(need)
            yield job

    return distinct(missing for job in jobs for missing in walk(job))


def scale_about(scale: str, folder: Path = EXPERIMENTS) -> str:
    """What a scale is and how it departs from the paper, for the head of a table."""
    return " ".join(str(read_yaml(folder / "scale" / f"{scale}.yaml").get("about", "")).split())


def local_weights(data: Path | None) -> None:
    """Let weights be found in a folder ``weights`` in or beside the data, unless one is named."""
    if data is not None:
        for folder in (data.resolve() / "weights", data.resolve().parent / "weights"):
            if folder.is_dir():
                os.environ.setdefault("REPRODUCE_WEIGHTS", str(folder))
