"""A run that is killed goes on bit for bit."""

import os
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from reproduce.experiments import read_table
from reproduce.files import read_json
from reproduce.runs.checkpoints import newest, saved
from reproduce.runs.job import Job, write_job
from reproduce.runs.plan import plan

#: What differs between two executions of one run.
TIMES = {"date", "timing", "hardware"}


def make_job(folder: Path, data: Path) -> Job:
    """150 steps of an FCN: two and a half epochs of 480 images."""
    flags = ["--trainer.max_steps=150", "--trainer.val_check_interval=75"]
    flags += ["--model.init_args.recipe.lr=0.01"]
    (job,) = plan(
        read_table("1"),
        scale="demo",
        seeds=1,
        runs=folder,
        data=data,
        only="fcn8s_resnet101/level_set",
        overrides=flags,
    )
    write_job(job, threads=1, wandb="off")
    return job


def start(job: Job) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "REPRODUCE_CHECKPOINT_SECONDS": "0", "WANDB_MODE": "disabled"}
    command = [sys.executable, "-m", "reproduce.runs.execute", str(job.folder)]
    return subprocess.Popen(command, env=environment)


def steps_saved(job: Job) -> int:
    return max((int(path.stem[5:]) for path in saved(job.folder)), default=0)


def kill_at(job: Job, step: int) -> None:
    """Start the run and kill it as soon as a checkpoint of a step is there."""
    process = start(job)
    while process.poll() is None and steps_saved(job) < step:
        time.sleep(0.005)
    process.kill()
    process.wait()


def finish(job: Job) -> dict[str, Any]:
    assert start(job).wait() == 0
    return read_json(job.folder / "record.json")


def weights(job: Job) -> dict[str, torch.Tensor]:
    state = torch.load(job.folder / "last.ckpt", weights_only=True)["state_dict"]
    return dict(state)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="module")
def undisturbed(data: Path) -> tuple[Job, dict[str, Any]]:
    job = make_job(data / "undisturbed", data / "shapes")
    return job, finish(job)


def assert_equal(job: Job, record: dict[str, Any], undisturbed: tuple[Job, dict[str, Any]]) -> None:
    first, expected = undisturbed
    for name, value in weights(first).items():
        assert torch.equal(value, weights(job)[name]), name
    for key in expected.keys() - TIMES:
        assert record[key] == expected[key], key
    assert (job.folder / "metrics.csv").read_text() == (first.folder / "metrics.csv").read_text()
    assert not saved(job.folder)


def test_killed_again_and_again(
    data: Path, tmp_path: Path, undisturbed: tuple[Job, dict[str, Any]]
) -> None:
    """In the first epoch, around its end and a validation (step 75), and in the last one."""
    job = make_job(tmp_path, data / "shapes")
    chosen = random.Random(0)
    for low, high in ((5, 30), (55, 62), (70, 80), (110, 145)):
        kill_at(job, chosen.randint(low, high))
        assert steps_saved(job) >= low
    record = finish(job)
    assert_equal(job, record, undisturbed)
    log = (job.folder / "log.txt").read_text()
    assert log.count("resume: goes on after step") == 4


def test_a_damaged_checkpoint_is_left_out(
    data: Path, tmp_path: Path, undisturbed: tuple[Job, dict[str, Any]]
) -> None:
    job = make_job(tmp_path, data / "shapes")
    kill_at(job, 20)
    good, *_ = saved(job.folder)
    step = steps_saved(job) + 1
    content = good.read_bytes()
    (job.folder / f"step-{step}.ckpt").write_bytes(content[: len(content) // 2])
    (job.folder / f"step-{step + 1}.ckpt").write_bytes(b"")
    (job.folder / f"step-{step + 2}.part").write_bytes(content)
    record = finish(job)
    assert_equal(job, record, undisturbed)
    log = (job.folder / "log.txt").read_text()
    assert f"resume: step-{step}.ckpt is damaged" in log
    assert f"goes on after step {step - 1} ({good.name})" in log


def test_checkpoints_of_older_code_are_not_used(data: Path, tmp_path: Path) -> None:
    job = make_job(tmp_path, data / "shapes")
    kill_at(job, 5)
    assert newest(job.folder) is not None
    described = job.folder / "job.json"
    described.write_text(
        described.read_text().replace(job.describe(threads=1, wandb="off")["code"], "old")
    )
    write_job(job, threads=1, wandb="off")
    assert newest(job.folder) is None
