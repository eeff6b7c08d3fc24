"""A run's folder with a small network, as training leaves it."""

import json
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from reproduce.data.labels import SHAPES
from reproduce.models import FCN

OPTIONS = {
    "stride": 8,
    "trunk": "thin",
    "weights": None,
    "freeze_batch_norm": False,
    "num_classes": 7,
    "recipe": {"lr": 0.05, "policy": "poly"},
    "criterion": {"class_path": "reproduce.losses.CrossEntropyLevelSetLoss", "init_args": {}},
}
CONFIG: dict[str, Any] = {
    "seed_everything": 0,
    "model": {"class_path": "reproduce.models.FCN", "init_args": OPTIONS},
    "data": {
        "class_path": "reproduce.data.ShapesDataModule",
        "init_args": {"root": "/somewhere/shapes", "crop": 64, "downscale": 1},
    },
    "trainer": {"max_steps": 4, "callbacks": None},
}


@cache
def _network() -> FCN:
    torch.manual_seed(3)
    network = FCN(stride=8, trunk="thin", num_classes=7, freeze_batch_norm=False)
    for layer in network.head.parameters():
        torch.nn.init.normal_(layer, std=0.4)
    with torch.inference_mode():
        for _ in range(10):  # statistics under which features differ from place to place
            network.full_logits(torch.randint(0, 256, (4, 3, 64, 64), dtype=torch.uint8))
    return network.eval()


def random_network() -> FCN:
    """A network whose labels vary over a picture."""
    return deepcopy(_network())


def make_record(name: str, config: dict[str, Any]) -> dict[str, Any]:
    scores = {"miou": 41.5, "pixel_accuracy": 80.25, "step": 4, "iou": [60.0] * 6 + [None]}
    return {
        "schema": 1,
        "id": name,
        "state": "completed",
        "experiment": "table1/fcn8s_resnet101/level_set",
        "scale": "demo",
        "seed": 1,
        "config": config,
        "config_hash": "0",
        "data": {
            "data": "shapes",
            "digest": "abc",
            "splits": {"val": {"images": 3, "valid_pixels": 9}},
        },
        "code": "c0de",
        "command": "reproduce table table1",
        "commit": "0123",
        "date": "2026-01-01 00:00",
        "scores": {"best": scores, "last": scores},
        "confusion": [],
        "image_iou": {},
        "history": [],
        "timing": {"wall_seconds": 1.5, "steps": 4},
        "hardware": {"device": "a processor"},
        "weights": {"initial": "0", "file": None},
    }


def make_run(
    folder: Path, config: dict[str, Any] = CONFIG, state: dict[str, Any] | None = None
) -> Path:
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    state = random_network().state_dict() if state is None else state
    torch.save({"state_dict": {**state, "criterion.weight": torch.ones(7)}}, folder / "last.ckpt")
    (folder / "record.json").write_text(json.dumps(make_record(folder.name, config)))
    (folder / "job.json").write_text(json.dumps({"needs": {}}))
    return folder


def make_evaluation(run: Path, name: str, options: dict[str, Any]) -> Path:
    """An evaluation with a CRF beside a run."""
    folder = run.parent / name
    folder.mkdir()
    config = {**CONFIG, "evaluation": {"crf": {"iterations": 3, "search": {}}}}
    record = {**make_record(name, config), "details": {}, "crf": options}
    (folder / "record.json").write_text(json.dumps(record))
    (folder / "job.json").write_text(json.dumps({"needs": {"checkpoint": run.name}}))
    return folder


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return make_run(tmp_path / "runs" / "4f04abcdef01")


NAMES = SHAPES.names
