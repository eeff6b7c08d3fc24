"""A trained network's files: found, and read without running code from them."""

import glob
import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from reproduce.errors import UserError
from reproduce.evaluations import kind, training_config
from reproduce.experiments import read_yaml
from reproduce.files import read_json
from reproduce.postprocess import DenseCRF
from reproduce.runs.record import read_record

WHAT = "a run's folder, its last.ckpt or a .safetensors file of reproduce export"


@dataclass(frozen=True)
class Source:
    """What is read from a checkpoint.

    Attributes:
        path: The file with the weights.
        config: Sections ``model`` and ``data`` at least.
        state: Weights by name, without those of a criterion.
        crf: The CRF whose parameters were found for this run.
    """

    path: Path
    config: dict[str, Any]
    state: dict[str, Tensor]
    crf: DenseCRF | None = None


def locate(given: Path) -> Path:
    """File of weights for what the user named.

    Args:
        given: A file; a folder of a training, or of an evaluation, which names its training; or
            the beginning of such a folder's name, under ``runs`` if it has no parent.

    Raises:
        UserError: If there is none.
    """
    if given.is_file():
        return given
    if not given.is_dir():
        parent = given.parent if given.parent != Path() else Path("runs")
        found = [p for p in parent.glob(glob.escape(given.name) + "*") if p.is_dir()]
        if len(found) != 1 or not given.name:
            raise UserError(
                f"checkpoint {given}: expected {WHAT}, found no such file and {len(found)} runs "
                f"that begin so in {parent}: see reproduce runs list"
            )
        given = found[0]
    if (given / "last.ckpt").is_file():
        return given / "last.ckpt"
    job = read_json(given / "job.json") if (given / "job.json").is_file() else {}
    other = given.parent / str(job.get("needs", {}).get("checkpoint", "-")) / "last.ckpt"
    if other.is_file():
        return other
    raise UserError(
        f"{given} has no last.ckpt, which a training writes at its end: expected {WHAT}; the "
        "command that made the run goes on with it"
    )


def find_crf(run: Path) -> DenseCRF | None:
    """The CRF that an evaluation of a run used, or that a search with its network found.

    Args:
        run: The run's folder; evaluations and searches lie beside it.
    """
    searched = None
    for path in sorted(run.parent.glob("*/job.json")):
        try:
            job = read_json(path)
            if job.get("needs", {}).get("checkpoint") != run.name:
                continue
            done = read_record(path.with_name("record.json"))
        except UserError:  # unfinished or damaged: no reason to refuse this network
            continue
        if done["state"] != "completed":
            continue
        if kind(done["config"]) == "evaluation" and done.get("crf"):
            return DenseCRF(**done["crf"])
        if kind(done["config"]) == "search":
            searched = replace(DenseCRF(**done["search"]["best"]["crf"]), iterations=10)
    return searched


def _unreadable(path: Path, error: Exception) -> UserError:
    reason = (str(error).splitlines() or [""])[0].strip() or type(error).__name__
    return UserError(f"{path} cannot be read as a checkpoint ({reason}): expected {WHAT}")


def _read_exported(path: Path) -> Source:
    from safetensors import safe_open

    try:
        with safe_open(path, framework="pt") as file:
            facts = file.metadata() or {}
            if "config" in facts:
                config, crf = json.loads(facts["config"]), json.loads(facts.get("crf", "null"))
                state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
                return Source(path, config, state, DenseCRF(**crf) if crf else None)
    except Exception as error:  # noqa: BLE001 - of several kinds for a damaged file
        raise _unreadable(path, error) from None
    raise UserError(f"{path} has no configuration in its metadata: expected {WHAT}")


def _read_checkpoint(path: Path) -> Source:
    config = path.with_name("config.yaml")
    if not config.is_file():
        raise UserError(f"no config.yaml beside {path}: expected {WHAT}")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        state = dict(content["state_dict"])
    except Exception as error:  # noqa: BLE001 - torch raises many kinds for a damaged file
        raise _unreadable(path, error) from None
    state = {k: v for k, v in state.items() if not k.startswith("criterion.")}
    return Source(path, training_config(read_yaml(config)), state, find_crf(path.resolve().parent))


def read_source(given: Path) -> Source:
    """Everything a trained network is made of.

    Args:
        given: As for :func:`locate`.

    Raises:
        UserError: If there is none, or a file of it cannot be read.
    """
    path = locate(given)
    return _read_exported(path) if path.suffix == ".safetensors" else _read_checkpoint(path)


def crf_options(crf: DenseCRF | None) -> str:
    """A CRF as it stands in exported metadata."""
    return json.dumps(None if crf is None else asdict(crf))
