"""The Slurm launcher: what it asks for, and a real cluster of one node."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import submitit
import torch

from reproduce.cli import main
from reproduce.errors import UserError
from reproduce.experiments import read_table
from reproduce.runs.checkpoints import saved
from reproduce.runs.estimate import Estimate
from reproduce.runs.execute import check_tasks, execute
from reproduce.runs.job import Job, write_job
from reproduce.runs.plan import plan, to_do
from reproduce.runs.queue import set_queued
from reproduce.runs.slurm import (
    DAY,
    GIB,
    Resources,
    SlurmLauncher,
    Task,
    minutes_of,
    parameters,
    resources_of,
)
from reproduce.runs.store import look_up
from tests.conftest import make_voc
from tests.runs import slurm_cluster
from tests.runs.slurm_cluster import slurm as ask
from tests.runs.test_launch import finish, with_trainer

SMALL = Resources(30, 3, 1, 1, 1, 0, exclusive=False)

#: A few seconds of training, in which there are checkpoints from the first step on.
FLAGS = ["--trainer.max_steps=240", "--trainer.val_check_interval=120"]
FLAGS += ["--data.init_args.val_batch_size=1"]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_voc(tmp_path_factory.mktemp("data") / "shapes", train=24, val=3, classes=7)


@pytest.fixture
def jobs(data: Path, tmp_path: Path) -> list[Job]:
    """Two trainings and their two evaluations."""
    found = plan(
        read_table("details"),
        scale="demo",
        seeds=1,
        runs=tmp_path / "runs",
        data=data,
        only="fcn32s*",
        overrides=FLAGS,
    )
    return to_do(found)


@pytest.mark.parametrize(
    ("text", "minutes"),
    [("90", 90), ("1:30", 2), ("2:00:00", 120), ("1-12", 2160), ("1-00:30", 1470), ("0:10", 1)],
)
def test_times_of_sbatch(text: str, minutes: int) -> None:
    assert minutes_of(text) == minutes


def test_what_runs_ask_for(jobs: list[Job]) -> None:
    training = next(job for job in jobs if job.kind == "training")
    evaluation = next(job for job in jobs if job.kind == "evaluation")
    cost = Estimate(6.0, 2 * GIB, "2 cores")
    wanted = resources_of(training, cost)  # 240 steps of 6 s, doubled, and 10 minutes
    assert (wanted.minutes, wanted.gigabytes, wanted.tasks, wanted.gpus) == (60, 5, 1, 0)
    assert resources_of(evaluation, cost).minutes == 20
    assert resources_of(training, Estimate(6e3, GIB, "")).minutes == DAY
    gpu = with_trainer(training, accelerator="gpu", devices=4, num_nodes=2)
    assert resources_of(gpu, None)[3:6] == (4, 2, 4)
    assert resources_of(gpu, None).minutes == DAY


def test_options_are_passed_on() -> None:
    given = {"partition": "gpu", "time": "2:00:00", "cpus_per_task": "6", "gres": "gpu:1"}
    found = parameters(SMALL, given, ["5", "6"])
    assert found["time"] == 120
    assert found["cpus_per_task"] == 6
    assert "--cpus-per-task=6" in found["srun_args"]
    assert found["dependency"] == "afterany:5:6"
    assert found["additional_parameters"] == {"requeue": True, "partition": "gpu", "gres": "gpu:1"}
    pair = parameters(SMALL._replace(tasks=2, gpus=2, exclusive=True), {}, [])
    assert pair["ntasks_per_node"] == 2
    assert "dependency" not in pair
    assert pair["additional_parameters"] == {
        "requeue": True,
        "gpus_per_node": 2,
        "exclusive": True,
    }


@pytest.mark.parametrize(
    ("options", "pattern"),
    [
        ({"array": "1-4"}, r"--slurm.array is set by the launcher"),
        ({"time": "soon"}, r"--slurm.time=soon: expected minutes or"),
        ({"nodes": "two"}, r"--slurm.nodes=two: these runs have 1"),
        ({"ntasks_per_node": "1"}, r"--slurm.ntasks_per_node=1: these runs have 2"),
        ({"cpus_per_task": "many"}, r"--slurm.cpus_per_task=many: expected a number"),
    ],
)
def test_mistaken_options(options: dict[str, str | bool], pattern: str) -> None:
    with pytest.raises(UserError, match=pattern):
        parameters(SMALL._replace(tasks=2), options, [])


def test_the_one_task_trap(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two devices and one task: Lightning would train alone on half of the data."""
    config = {"trainer": {"devices": 2}}
    check_tasks(config)
    monkeypatch.setenv("SLURM_NTASKS", "1")
    with pytest.raises(UserError, match="expected 2 Slurm tasks for devices=2 and num_nodes=1"):
        check_tasks(config)
    check_tasks({**config, "evaluation": {}})
    monkeypatch.setenv("SLURM_JOB_NAME", "bash")  # Lightning starts the processes itself
    check_tasks(config)
    monkeypatch.setenv("SLURM_JOB_NAME", "train")
    monkeypatch.setenv("SLURM_NTASKS", "2")
    check_tasks(config)


def test_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    where = ["--out", str(tmp_path), "--runs", str(tmp_path / "runs")]
    assert main(["table", "1", *where, "--", "--slurm.partition=a"]) == 2
    assert "--slurm.partition=a needs --launcher slurm" in capsys.readouterr().err
    assert main(["runs", "list", "--slurm.partition=a"]) == 2
    assert "runs takes no --slurm.partition=a" in capsys.readouterr().err


def test_without_slurm(jobs: list[Job], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match="no srun found: give the command on"):
        SlurmLauncher({}, "off").run(jobs)


def test_evaluations_of_lost_trainings_are_not_submitted(jobs: list[Job]) -> None:
    trainings = [job for job in jobs if job.kind == "training"]
    evaluations = [job for job in jobs if job.kind == "evaluation"]
    launcher = SlurmLauncher({}, "off")
    levels = launcher._levels(jobs, [])
    assert [levels[job.id] for job in (*trainings, *evaluations)] == [0, 0, 1, 1]
    assert launcher._levels(evaluations, []) == {}
    finish(trainings[0])
    assert len(launcher._levels(evaluations, [])) == 1


def test_a_job_that_runs_here(jobs: list[Job]) -> None:
    """By submitit's local executor."""
    job = jobs[0]
    write_job(job, threads=1, wandb="off")
    set_queued(job.folder, "1")
    sent = submitit.LocalExecutor(job.folder.parent / ".slurm").submit(Task(job.folder))
    assert sent.result() == "completed"
    assert look_up(job.folder).state == "completed"
    assert not (job.folder / "queued.json").exists()


def test_an_evaluation_whose_training_failed(jobs: list[Job]) -> None:
    """Its job begins all the same, so that it can say why it ends."""
    job = next(job for job in jobs if job.kind == "evaluation")
    write_job(job, threads=torch.get_num_threads(), wandb="off")
    with pytest.raises(UserError, match=r"it needs run \w+, which is absent"):
        execute(job.folder)


def until(condition: Callable[[], Any], seconds: float = 60) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return found


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    if why := slurm_cluster.missing():
        pytest.skip(why)
    with slurm_cluster.cluster(tmp_path_factory.mktemp("slurm")) as environment:
        yield {**environment, "REPRODUCE_CHECKPOINT_SECONDS": "0"}


def reproduce(cluster: dict[str, str], folder: Path, *words: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "reproduce", *words],
        env={**cluster, "PYTHONPATH": str(Path.cwd())},
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def queue(cluster: dict[str, str]) -> list[str]:
    """Jobs in the queue; those held back after a requeue may start at once."""
    lines = ask(cluster, "squeue", "--noheader", "--array", "--format=%i %r").splitlines()
    for line in lines:
        if line.endswith("BeginTime"):
            ask(cluster, "scontrol", "update", f"JobId={line.split()[0]}", "StartTime=now")
    return [line.split()[0] for line in lines]


def test_a_real_cluster(cluster: dict[str, str], data: Path, tmp_path: Path) -> None:
    """Arrays, dependencies, requeue by Slurm and by submitit; a second call submits nothing."""
    words = ["table", "details", "--data", str(data), "--seeds", "1", "--only", "fcn32s*"]
    words += ["--out", "out", "--launcher", "slurm", "--wandb", "off", "--slurm.partition=all"]
    first = reproduce(cluster, tmp_path, *words, "--", *FLAGS)
    assert "2 runs, 20 min, 3G each\n" in first
    assert "2 runs, 20 min, 5G each, after " in first
    waiting = queue(cluster)
    assert len(waiting) == 4
    training = min(waiting).split("_")[0]
    notes = tmp_path.glob("runs/*/queued.json")
    numbers = {json.loads(path.read_text())["job"]: path.parent for path in notes}
    assert set(numbers) == set(waiting)
    listing = reproduce(cluster, tmp_path, "runs", "list")
    assert listing.count("queued       demo details/fcn32s_resnet101/") >= 2
    assert ", Slurm job" in listing

    second = reproduce(cluster, tmp_path, *words, "--", *FLAGS)
    assert "4 runs are queued or running already" in second
    assert set(queue(cluster)) <= set(waiting)
    assert "queued" in (tmp_path / "out/demo/details.md").read_text()

    end = [["scontrol", "requeue"], ["scancel", "--signal=USR2"]]  # the signal before a limit
    for i, command in enumerate(end):
        number = f"{training}_{i}"
        until(partial(saved, numbers[number]))
        ask(cluster, *command, number)
    until(lambda: not queue(cluster), 120)
    listing = reproduce(cluster, tmp_path, "runs", "list")
    assert listing.count("completed") == 4
    logs = [path.read_text() for path in tmp_path.glob("runs/*/log.txt")]
    assert sum("resume: goes on after step" in log for log in logs) == 2
    last = reproduce(cluster, tmp_path, *words, "--", *FLAGS)
    assert "Slurm job" not in last
    assert not list(tmp_path.glob("runs/*/queued.json"))


def test_two_tasks(cluster: dict[str, str], data: Path, tmp_path: Path) -> None:
    words = ["table", "1", "--data", str(data), "--seeds", "1", "--only", "fcn32s*/baseline"]
    words += ["--out", "out", "--launcher", "slurm", "--wandb", "off", "--"]
    words += ["--slurm.time=10", "--slurm.mem=4G", "--trainer.devices=2", "--trainer.strategy=ddp"]
    words += ["--trainer.max_steps=4", "--trainer.val_check_interval=4", FLAGS[-1]]
    assert "1 runs, 10 min, 4G each" in reproduce(cluster, tmp_path, *words)
    until(lambda: not queue(cluster), 90)
    (path,) = tmp_path.glob("runs/*/record.json")
    record = json.loads(path.read_text())
    assert record["state"] == "completed", record
    assert record["hardware"]["devices"] == 2
    assert len(record["image_iou"]) == 3


def test_refused_by_sbatch(
    cluster: dict[str, str], jobs: list[Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLURM_CONF", cluster["SLURM_CONF"])
    launcher = SlurmLauncher({}, "off")
    executor = launcher._executor(jobs[0].folder.parent / ".slurm")
    with pytest.raises(UserError, match="invalid partition") as refused:
        launcher._send(executor, jobs[:2], parameters(SMALL, {"partition": "none"}, []))
    assert "\n" not in str(refused.value)
    assert look_up(jobs[0].folder).state == "absent"
