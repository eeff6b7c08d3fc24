"""What is done with trained networks: a column's ``evaluate`` as part of a configuration.

A configuration with a section ``evaluation`` stands for a run that trains nothing: it takes the
network which the rest of the configuration trains, and

* ``{crf: null}`` counts pixels, contours and objects of its labels;
* ``{crf: {iterations: 10, preset: NAME}}`` does so after the CRF; with ``search: {...}`` instead of
  ``preset`` its parameters are those that a run of their own found;
* ``{search: {...}}`` is that run, with the network of seed 0;
* ``{timing: {...}, crf: {...}}`` measures seconds per image beside the network with the other loss;
* ``{overhead: {rounds: 200, seconds: 600}}`` measures a training step with and without the level
  set loss, of a network with random weights: it needs no trained one.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from reproduce.errors import UserError
from reproduce.experiments import EXPERIMENTS, Column, Row, TableSpec, read_yaml

#: What a column's ``evaluate`` may hold.
KEYS = {"iterations", "overhead", "timing"}


def _crf(row: Row, data: str, scale: str, iterations: int, folder: Path) -> dict[str, Any]:
    """Published parameters where the scale names some for the network, else a search."""
    known = read_yaml(folder / "scale" / f"{scale}.yaml").get("crf", {})
    preset = known.get("presets", {}).get(data, {}).get(row.arch)
    if preset is not None:
        return {"iterations": iterations, "preset": preset}
    if "search" not in known:
        raise UserError(f"scale/{scale}.yaml has no CRF for {row.arch} on {data}: add crf.search")
    return {"iterations": iterations, "search": known["search"]}


def evaluation_config(
    table: TableSpec, row: Row, column: Column, scale: str, folder: Path = EXPERIMENTS
) -> dict[str, Any] | None:
    """The section ``evaluation`` of a cell's configuration, ``None`` for a training.

    Args:
        table: The table, whose data set decides which parameters are published.
        row: Row.
        column: Column; its ``evaluate`` may hold ``iterations`` of the CRF and ``timing``, or
            ``overhead`` alone.
        scale: Scale, whose file has the section ``crf``.
        folder: The folder of experiments.

    Raises:
        UserError: On unknown keys, or if the scale has no CRF for the row.
    """
    if column.evaluate is None:
        return None
    unknown = sorted(set(column.evaluate) - KEYS)
    if unknown:
        raise UserError(
            f"{table.name}.yaml, column {column.key}: unknown key {unknown[0]!r} under evaluate, "
            f"expected {', '.join(sorted(KEYS))}"
        )
    if "overhead" in column.evaluate:
        return {"overhead": dict(column.evaluate["overhead"])}
    if "iterations" not in column.evaluate:
        return {"crf": None}
    crf = _crf(row, table.data, scale, column.evaluate["iterations"], folder)
    if "timing" in column.evaluate:
        return {"crf": crf, "timing": dict(column.evaluate["timing"])}
    return {"crf": crf}


def kind(config: Mapping[str, Any]) -> str:
    """What a run of a configuration is: ``training``, ``evaluation``, ``search`` or ``timing``."""
    evaluation = config.get("evaluation")
    if evaluation is None:
        return "training"
    names = {"search": "search", "timing": "timing", "overhead": "timing"}
    return next((names[key] for key in names if key in evaluation), "evaluation")


def training_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a configuration that LightningCLI understands."""
    return {key: value for key, value in config.items() if key not in ("evaluation", "choose")}


def cost_key(config: Mapping[str, Any]) -> str:
    """Equal for configurations of which a training step costs the same."""
    options = config["data"]["init_args"]
    network = {k: v for k, v in config["model"]["init_args"].items() if k != "recipe"}
    if criterion := network.get("criterion"):
        rest = {k: v for k, v in criterion["init_args"].items() if k != "weight"}
        network["criterion"] = {**criterion, "init_args": rest}
    return json.dumps(
        [config["model"]["class_path"], network, options["crop"], options["batch_size"]]
    )
