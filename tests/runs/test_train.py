"""Options that a run chooses by the scores of others."""

import json
from pathlib import Path
from typing import Any

import pytest

from reproduce.errors import UserError
from reproduce.experiments import read_table, with_option
from reproduce.runs.plan import plan
from reproduce.runs.train import choose
from tests.tables.examples import make_record

CONFIG: dict[str, Any] = {
    "model": {"init_args": {"weight": 1}},
    "trainer": {"callbacks": [{"init_args": {"lam": 4e-4}}]},
}


def test_an_option_by_its_path() -> None:
    changed = with_option(CONFIG, "trainer.callbacks.0.init_args.lam", 1)
    assert changed["trainer"]["callbacks"][0]["init_args"] == {"lam": 1}
    assert CONFIG["trainer"]["callbacks"][0]["init_args"] == {"lam": 4e-4}
    for path in (
        "model.init_args.wait",
        "trainer.callbacks.1.init_args",
        "model.init_args.weight.x",
    ):
        with pytest.raises(UserError, match=f"no option {path}"):
            with_option(CONFIG, path, 1)


def test_the_best_value_is_trained(tmp_path: Path) -> None:
    needs = {}
    for value, miou in ((0.1, 30.0), (1.0, 40.0), (10.0, 40.0)):
        record = make_record("x", "y", int(value), miou)
        folder = tmp_path / record["id"]
        folder.mkdir()
        (folder / "record.json").write_text(json.dumps(record))
        needs[str(value)] = record["id"]
    choice = {"option": "model.init_args.weight", "values": [0.1, 1.0, 10.0]}
    config, found = choose(tmp_path / "run", {"needs": needs}, {**CONFIG, "choose": choice})
    assert config == with_option(CONFIG, "model.init_args.weight", 1.0)
    assert found["chosen"]["value"] == 1.0
    assert [trial["miou"] for trial in found["chosen"]["tried"]] == [30.0, 40.0, 40.0]
    assert choose(tmp_path, {}, CONFIG) == (CONFIG, {})


def test_candidates_never_see_the_validation_images(tmp_path: Path) -> None:
    jobs = plan(
        read_table("5"),
        scale="demo",
        seeds=2,
        runs=tmp_path,
        data=tmp_path / "data",
        only="focal",
    )
    rivals = [job for job in jobs if job.experiment.endswith("rival")]
    assert [job.seed for job in rivals] == [0, 1]
    assert rivals[0].needs == rivals[1].needs
    for value, need in rivals[0].needs.items():
        data = need.config["data"]["init_args"]
        assert (data["train_split"], data["val_split"]) == ("train.fit", "train.held")
        assert need.config["model"]["init_args"]["criterion"]["init_args"]["weight"] == float(value)
        images = {split: counts["images"] for split, counts in need.data["splits"].items()}
        assert images == {"train.fit": 384, "train.held": 96}
        assert not need.needs
