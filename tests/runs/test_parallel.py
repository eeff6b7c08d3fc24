"""One run on several devices is the run on one device."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from reproduce.errors import UserError
from reproduce.evaluations import training_config
from reproduce.experiments import read_table
from reproduce.files import read_json
from reproduce.lightning_cli import build_cli
from reproduce.runs.execute import execute
from reproduce.runs.job import Job, write_job
from reproduce.runs.parallel import check_processes, per_process
from reproduce.runs.plan import plan
from tests.conftest import make_voc, write_mask

MANIFEST = {"splits": {"train": {"images": 53}}}


def config(batch: int = 8, **trainer: Any) -> dict[str, Any]:
    options = {"batch_size": batch, "train_split": "train"}
    return {"trainer": {"val_check_interval": 5, **trainer}, "data": {"init_args": options}}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Void pixels, which some parts of a batch have more of; 25 images to evaluate."""
    return make_voc(tmp_path_factory.mktemp("data") / "shapes", train=22, val=25, classes=7)


def job_of(data: Path, runs: Path, *flags: str) -> Job:
    """Six steps in double precision, in which sums in another order still agree to many digits."""
    always = ["--trainer.max_steps=6", "--trainer.val_check_interval=3"]
    always += ["--trainer.precision=64-true", "--data.init_args.val_batch_size=1"]
    always += ["--model.init_args.recipe.lr=0.0001"]  # so that not all becomes background at once
    (job,) = plan(
        read_table("1"),
        scale="demo",
        seeds=1,
        runs=runs,
        data=data,
        only="deeplab_largefov/level_set",
        overrides=[*always, *flags],
    )
    write_job(job, threads=1, wandb="off")
    return job


def weights(job: Job) -> dict[str, torch.Tensor]:
    return dict(torch.load(job.folder / "last.ckpt", weights_only=True)["state_dict"])


def test_the_batch_is_divided() -> None:
    def batch(**trainer: Any) -> int:
        return int(per_process(config(**trainer), MANIFEST)["data"]["init_args"]["batch_size"])

    assert batch() == batch(devices="auto") == 8
    assert batch(devices=2) == batch(accumulate_grad_batches=2) == 4
    assert batch(devices=2, num_nodes=2, accumulate_grad_batches=2) == 1
    evaluation = {**config(devices=3), "evaluation": {"crf": None}}
    assert per_process(evaluation, MANIFEST) == evaluation


def test_lightning_counts_parts_of_a_batch() -> None:
    """53 images are 6 batches of 8; the 13th part of 4 would make a step of its own."""
    trainer = per_process(config(accumulate_grad_batches=2), MANIFEST)["trainer"]
    assert trainer["val_check_interval"] == 10
    assert trainer["limit_train_batches"] == 12


@pytest.mark.parametrize(
    ("batch", "trainer", "message"),
    [
        (10, {"devices": 3}, "a batch of 10 cannot be split over 3 devices: choose"),
        (10, {"devices": 2, "accumulate_grad_batches": 2}, "over 2 devices x 2 parts"),
        (8, {"devices": -1}, "--trainer.devices=-1: expected a whole number from 1"),
        (8, {"devices": [0, 1]}, "CUDA_VISIBLE_DEVICES chooses"),
        (8, {"num_nodes": 0}, "--trainer.num_nodes=0: expected"),
        (8, {"devices": 2, "strategy": "ddp_spawn"}, "strategy=ddp_spawn: expected one of auto"),
        (8, {"devices": 2, "strategy": "fsdp"}, "strategy=fsdp: expected one of auto, ddp"),
    ],
)
def test_impossible_combinations(batch: int, trainer: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError) as refused:
        per_process(config(batch, **trainer), MANIFEST)
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


def test_refused_before_anything_runs(data: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="a batch of 8 cannot be split over 3 devices"):
        job_of(data, tmp_path, "--trainer.devices=3")


def test_another_number_of_processes() -> None:
    check_processes(config(devices=2), 2)
    with pytest.raises(UserError, match=r"expected 2 processes .*, but Lightning found 1"):
        check_processes(config(devices=2), 1)


def test_two_processes_give_what_one_gives(data: Path, tmp_path: Path) -> None:
    """Weights and curves but for rounding, scores and confusion matrix exactly."""
    one = job_of(data, tmp_path / "one")
    result = execute(one.folder)
    two = job_of(data, tmp_path / "two", "--trainer.devices=2", "--trainer.strategy=ddp")
    assert two.id == one.id
    command = [sys.executable, "-m", "reproduce.runs.execute", str(two.folder)]
    assert subprocess.run(command, env={**os.environ}, check=False).returncode == 0
    record = read_json(two.folder / "record.json")
    assert record["hardware"]["devices"] == 2
    assert record["weights"] == result["weights"]
    expected = weights(one)
    assert weights(two).keys() == expected.keys()
    for name, value in weights(two).items():
        torch.testing.assert_close(value, expected[name], rtol=1e-7, atol=1e-9)
    for name in ("confusion", "scores", "image_iou"):
        assert record[name] == result[name], name
    assert len(record["image_iou"]) == 25
    assert np.count_nonzero(np.sum(record["confusion"], axis=0)) > 1
    for name, values in record["curve"].items():
        assert values == pytest.approx(result["curve"][name], rel=1e-4), name

    cli = build_cli(training_config(one.config), {"logger": False, "enable_progress_bar": False})
    cli.model.load_state_dict(weights(two))
    cli.trainer.validate(cli.model, cli.datamodule, verbose=False)
    assert cli.model.scores.confusion.tolist() == record["confusion"]


def test_accumulation_makes_the_same_steps(tmp_path: Path) -> None:
    """With frozen normalisation and without void, which parts of a batch have less or more of."""
    root = make_voc(tmp_path / "shapes", train=22, val=2, classes=7)
    for path in root.glob("*/SegmentationClass/*.png"):
        labels = np.asarray(Image.open(path))
        write_mask(path, np.where(labels == 255, 0, labels))
    frozen = ["--model.init_args.freeze_batch_norm=true", "--data.init_args.crop=16"]
    results = []
    for parts in (1, 2):
        flags = [*frozen, f"--trainer.accumulate_grad_batches={parts}"]
        job = job_of(root, tmp_path / str(parts), *flags)
        results.append((execute(job.folder), weights(job)))
    assert [entry["step"] for entry in results[1][0]["history"]] == [3, 6]
    for name, value in results[1][1].items():
        torch.testing.assert_close(value, results[0][1][name], rtol=1e-7, atol=1e-9)
