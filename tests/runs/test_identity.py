"""Identity of runs."""

import copy
from typing import Any

import pytest

from reproduce.runs.identity import config_hash, run_id

CONFIG: dict[str, Any] = {
    "seed_everything": 0,
    "model": {"class_path": "reproduce.models.FCN", "init_args": {"stride": 32}},
    "data": {"class_path": "reproduce.data.VOCDataModule", "init_args": {"root": "/a", "crop": 64}},
    "trainer": {"max_steps": 5},
}


def changed(*path: str, value: Any) -> dict[str, Any]:
    config = copy.deepcopy(CONFIG)
    node = config
    for key in path[:-1]:
        node = node[key]
    node[path[-1]] = value
    return config


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("data", "init_args", "root"), "/b"),
        (("data", "init_args", "num_workers"), 8),
        (("trainer", "devices"), 4),
        (("trainer", "logger"), False),
        (("trainer", "default_root_dir"), "x"),
    ],
)
def test_neutral_options(path: tuple[str, ...], value: Any) -> None:
    assert config_hash(changed(*path, value=value)) == config_hash(CONFIG)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("seed_everything",), 1),
        (("data", "init_args", "crop"), 65),
        (("trainer", "max_steps"), 6),
        (("trainer", "precision"), "bf16-mixed"),
        (("model", "init_args", "stride"), 16),
    ],
)
def test_options_that_count(path: tuple[str, ...], value: Any) -> None:
    assert config_hash(changed(*path, value=value)) != config_hash(CONFIG)


def test_run_id() -> None:
    assert run_id(CONFIG, "data") != run_id(CONFIG, "other data")
    assert len(run_id(CONFIG, "data")) == 12
    shuffled = dict(reversed(CONFIG.items()))
    assert run_id(shuffled, "data") == run_id(CONFIG, "data")
