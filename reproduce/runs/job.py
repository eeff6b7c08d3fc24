"""One run that is wanted: its configuration, data, folder and the runs it needs first."""

import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from reproduce.errors import UserError
from reproduce.evaluations import kind
from reproduce.experiments import REPOSITORY
from reproduce.files import read_json, write_atomically
from reproduce.runs.fingerprint import code_fingerprint
from reproduce.runs.identity import config_hash, identity_config
from reproduce.runs.parallel import per_process
from reproduce.runs.record import SCHEMA
from reproduce.runs.store import Run, look_up

#: About as many sets of parameters as a search tries, and passes over the images of a timing run:
#: for the time left.
TRIALS, TIMED = 40, 10


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
        needs: Runs that must be completed before, by what they are for.
    """

    experiment: str
    scale: str
    seed: int
    config: dict[str, Any]
    data: dict[str, Any]
    folder: Path
    needs: Mapping[str, "Job"] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """Identity of the run."""
        return self.folder.name

    @property
    def kind(self) -> str:
        """``training``, ``evaluation``, ``search`` or ``timing``."""
        return kind(self.config)

    @property
    def steps(self) -> int:
        """Length: steps of a training, else roughly the images or steps worked on."""
        if self.kind == "training":
            return int(self.config["trainer"]["max_steps"])
        evaluation = self.config["evaluation"]
        if self.kind == "search":
            return int(evaluation["search"]["images"]) * TRIALS
        if "overhead" in evaluation:
            return int(evaluation["overhead"]["rounds"])
        if self.kind == "timing":
            return int(evaluation["timing"]["images"]) * TIMED
        images: int = self.data["splits"][self.val_split]["images"]
        return images

    @property
    def val_split(self) -> str:
        """Split that is evaluated on."""
        return str(self.config["data"]["init_args"]["val_split"])

    def look_up(self) -> Run:
        """State of the run."""
        return look_up(self.folder)

    def describe(
        self, *, threads: int, wandb: str, workers: int = 1, wandb_checkpoints: bool = False
    ) -> dict[str, Any]:
        """Content of ``job.json``, which the executing process reads.

        Args:
            threads: Of the network.
            wandb: ``online``, ``offline`` or ``off``.
            workers: Processes for the CRF beside it.
            wandb_checkpoints: Whether the best and the last checkpoint are mirrored too.
        """
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
            "kind": self.kind,
            "needs": {role: job.id for role, job in self.needs.items()},
            "val_split": self.val_split,
            "code": code_fingerprint(self.config),
            "commit": commit(),
            "command": f"reproduce table {table} --scale {self.scale} --only {cell}",
            "threads": threads,
            "workers": workers,
            "wandb": wandb,
            "wandb_checkpoints": wandb_checkpoints,
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


def _code(path: Path) -> object:
    """Fingerprint of the code that ``job.json`` names; ``None`` if it is absent or damaged."""
    try:
        return read_json(path).get("code")
    except UserError:
        return None


def write_job(job: Job, **options: Any) -> dict[str, Any]:  # noqa: ANN401 - passed on
    """Prepare the folder of a run: configuration and description; earlier logs are kept.

    Checkpoints of an unfinished run stay too, unless older code, or nobody knows which, made them.

    Args:
        job: The run.
        **options: Those of :meth:`Job.describe`.

    Returns:
        What was written to ``job.json``.
    """
    described = job.describe(**options)
    job.folder.mkdir(parents=True, exist_ok=True)
    if _code(job.folder / "job.json") != described["code"]:
        for path in job.folder.glob("step-*.ckpt"):
            path.unlink()
    config = per_process(job.config, job.data)
    write_atomically(job.folder / "config.yaml", yaml.safe_dump(config, sort_keys=False))
    write_atomically(job.folder / "job.json", json.dumps(described, indent=1))
    return described
