"""The local launcher: several drivers, GPUs, failures."""

import contextlib
import errno
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from reproduce.errors import UserError
from reproduce.experiments import read_table
from reproduce.runs import execute, launch
from reproduce.runs.devices import choose_devices, devices_of, visible_devices
from reproduce.runs.job import Job, write_job
from reproduce.runs.launch import Launcher
from reproduce.runs.lock import Lock, owner, take
from reproduce.runs.plan import plan
from reproduce.runs.process import Running
from reproduce.runs.progress import write_progress
from reproduce.runs.record import write_record
from tests.conftest import make_voc
from tests.runs.screen import screen
from tests.runs.test_lock import dead_process, rewrite
from tests.tables.examples import make_record


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three batches an epoch: at the last one of an epoch there is no checkpoint."""
    return make_voc(tmp_path_factory.mktemp("data") / "shapes", train=24, val=3, classes=7)


@pytest.fixture
def jobs(data: Path, tmp_path: Path) -> list[Job]:
    """Six trainings, which the launchers of these tests do not really execute."""
    found = plan(
        read_table("1"),
        scale="demo",
        seeds=3,
        runs=tmp_path / "runs",
        data=data,
        only="fcn32s*",
    )
    return [replace(job, needs={}) for job in found]


def with_trainer(job: Job, **options: Any) -> Job:
    return replace(job, config={**job.config, "trainer": {**job.config["trainer"], **options}})


def finish(job: Job, **changes: Any) -> None:
    record = make_record("fcn32s_resnet101", "baseline", 0, 20.0, id=job.id, **changes)
    write_record(job.folder / "record.json", record)


class Machine:
    """Stands for the processes that a launcher starts: each ends after some looks at it."""

    def __init__(self) -> None:
        self.started: list[tuple[str, list[str]]] = []
        self.most = 0
        self.going: dict[str, list[str]] = {}
        self.refuse: Callable[[Job], None] = lambda _: None

    def start(self, job: Job, lock: Lock, **options: Any) -> Running:
        self.refuse(job)
        devices = list(options["devices"])
        self.started.append((job.id, devices))
        self.going[job.id] = devices
        used = [name for names in self.going.values() for name in names]
        self.most = max(self.most, max((used.count(name) for name in used), default=0))
        looks = iter([None, None])

        def poll() -> int | None:
            if job.id in self.going and next(looks, 0) is None:
                return None
            if self.going.pop(job.id, None) is not None:
                finish(job)
                lock.release()
            return 0

        return Running(job, lock, devices, time.monotonic(), poll, lambda: None)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    found = Machine()
    monkeypatch.setattr(launch, "start", found.start)
    monkeypatch.setattr(launch, "server", lambda: None)
    monkeypatch.setattr(launch, "check_configs", lambda *_: None)
    monkeypatch.setattr(launch, "PAUSE", 0.05)
    return found


def test_one_run_for_each_gpu(machine: Machine, jobs: list[Job]) -> None:
    jobs = [with_trainer(job, accelerator="auto") for job in jobs]
    assert Launcher(16, "off", ["0", "1", "2"], say=lambda _: None).run(jobs) == 0
    assert machine.most == 1
    assert [len(devices) for _, devices in machine.started] == [1] * 6
    assert {devices[0] for _, devices in machine.started} == {"0", "1", "2"}


def test_runs_on_several_gpus_wait_until_these_are_free(machine: Machine, jobs: list[Job]) -> None:
    jobs = [with_trainer(job, accelerator="gpu", devices=1 + i % 2) for i, job in enumerate(jobs)]
    assert Launcher(16, "off", ["a", "b"], say=lambda _: None).run(jobs) == 0
    assert machine.most == 1
    assert sorted(len(devices) for _, devices in machine.started) == [1, 1, 1, 2, 2, 2]


def test_runs_that_share_a_gpu(machine: Machine, jobs: list[Job]) -> None:
    jobs = [with_trainer(job, accelerator="auto") for job in jobs]
    assert Launcher(4, "off", ["0", "1"], 2, say=lambda _: None).run(jobs) == 0
    assert machine.most == 2


def test_runs_on_the_cpu_take_no_gpu(machine: Machine, jobs: list[Job]) -> None:
    assert Launcher(6, "off", ["0"], say=lambda _: None).run(jobs) == 0
    assert [devices for _, devices in machine.started] == [[]] * 6


def test_choice_of_gpus(jobs: list[Job]) -> None:
    job = with_trainer(jobs[0], accelerator="auto", devices=2)
    assert devices_of(job) == 2
    assert choose_devices(job, ["0", "1", "2"], ["0"], 1) == ["1", "2"]
    assert choose_devices(job, ["0", "1", "2"], ["0", "1"], 1) is None
    assert choose_devices(job, ["0"], [], 1) == []  # Lightning will say what is wrong
    assert devices_of(with_trainer(job, devices="auto")) == 1


def test_visible_devices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for value, names in (("", []), ("-1", []), ("3, GPU-1", ["3", "GPU-1"])):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", value)
        assert visible_devices() == names
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\nprintf 'GPU 0: A\\n  MIG 1g: B\\nGPU 1: A\\n'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert visible_devices() == ["0", "1"]
    program.unlink()
    monkeypatch.setenv("PATH", str(tmp_path))
    assert visible_devices() == []


def test_a_full_disk_fails_one_run(machine: Machine, jobs: list[Job]) -> None:
    """Nothing of it can be written, not even its failure."""

    def refuse(job: Job) -> None:
        if job is jobs[0]:
            raise OSError(errno.ENOSPC, "No space left on device")

    machine.refuse = refuse
    lines: list[str] = []
    assert Launcher(2, "off", say=lines.append).run(jobs) == 1
    assert any("FAILED, the disk is full" in line for line in lines)
    assert len(machine.started) == 5
    assert owner(jobs[0].folder) is None


def test_waits_for_another_driver(machine: Machine, jobs: list[Job]) -> None:
    """One run ends there well, one fails there, one is left by its process and done here."""
    done, failed, left = jobs[:3]
    locks = [take(job.folder) for job in jobs[:3]]
    lines: list[str] = []

    def say(line: str) -> None:
        lines.append(line)
        if sum("waiting for run" in line for line in lines) == 3 and "waiting" in line:
            finish(done)
            finish(failed, state="failed", error="no memory")
            for lock in locks[:2]:
                assert lock is not None
                lock.release()
            rewrite(left.folder, pid=dead_process())

    assert Launcher(2, "off", say=say).run(jobs[:3]) == 1
    assert [name for name, _ in machine.started] == [left.id]
    assert f"waiting for run {done.id} ({done.experiment} seed 0) on host" in lines[0]
    assert any("mIoU 20.00 (by another driver)" in line for line in lines)
    assert any("FAILED, no memory" in line for line in lines)


def test_what_another_driver_did_meanwhile_is_not_done_again(
    machine: Machine, jobs: list[Job]
) -> None:
    finish(jobs[0])
    lines: list[str] = []
    assert Launcher(1, "off", say=lines.append).run(jobs[:1]) == 0
    assert not machine.started
    assert "done by another driver meanwhile" in lines[0]


@pytest.mark.usefixtures("machine")
def test_a_run_killed_and_taken_over_elsewhere_is_waited_for(
    jobs: list[Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    """No failure is recorded over what the other driver does."""
    (job,) = jobs[:1]
    other: list[Lock | None] = []

    def start(job: Job, lock: Lock, **_: Any) -> Running:
        rewrite(job.folder, pid=dead_process())
        other.append(take(job.folder))
        return Running(job, lock, [], time.monotonic(), lambda: -9, lambda: None)

    monkeypatch.setattr(launch, "start", start)

    def say(line: str) -> None:
        if "waiting" in line:
            assert not (job.folder / "record.json").exists()
            finish(job)
            assert other[0] is not None
            other[0].release()

    assert Launcher(1, "off", say=say).run([job]) == 0


@pytest.mark.usefixtures("machine")
def test_the_reason_of_a_process_beside_the_first(
    jobs: list[Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It cannot write the record; Lightning kills the first process for it."""
    (job,) = jobs[:1]

    def start(job: Job, lock: Lock, **_: Any) -> Running:
        write_job(with_trainer(job, max_steps="many"), threads=1, wandb="off")
        with monkeypatch.context() as second:
            second.setenv("LOCAL_RANK", "1")
            second.setattr(execute, "_output_to", lambda _: contextlib.nullcontext())
            assert execute.main(job.folder) == 1
        return Running(job, lock, [], time.monotonic(), lambda: -9, lambda: None)

    monkeypatch.setattr(launch, "start", start)
    lines: list[str] = []
    assert Launcher(1, "off", say=lines.append).run([job]) == 1
    assert "FAILED, TypeError: " in lines[0]
    assert job.look_up().problem.startswith("TypeError: ")


def test_several_nodes_need_a_cluster(jobs: list[Job]) -> None:
    with pytest.raises(UserError, match="num_nodes=2 needs a cluster: give LAUNCHER=slurm"):
        Launcher(1, "off").run([with_trainer(jobs[0], num_nodes=2)])


def test_shows_what_goes_on_in_a_terminal_only(
    machine: Machine, jobs: list[Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that fails among them; elsewhere there is a line for each run that ends."""

    def refuse(job: Job) -> None:
        if job is jobs[0]:
            raise OSError(errno.ENOSPC, "No space left on device")
        write_progress(job.folder, 700, 23.456)

    machine.refuse = refuse
    for terminal in (True, False):
        lines: list[str] = []
        with screen(terminal=terminal) as (stream, seen):
            monkeypatch.setattr("sys.stderr", stream)
            assert Launcher(2, "off", say=lines.append).run(jobs) == 1
        assert len(lines) == 6
        assert lines[0].startswith(
            "[1/6] table1/fcn32s_resnet101/baseline seed 0: FAILED, the disk"
        )
        assert re.match(r"\[6/6, about \d+ s left\] .*: mIoU 20.00 \(\d+ s\)$", lines[-1])
        shown = seen()
        assert (shown == "") is not terminal
        if terminal:
            assert "2 running, 1 failed" in shown
            assert "seed 1: 700 of 1400, mIoU 23.46" in shown
            assert "100%|████████████████████| 5 of 6 runs done, 1 failed" in shown
        for job in jobs:
            (job.folder / "record.json").unlink(missing_ok=True)


def driver(
    folder: Path,
    data: Path,
    out: str,
    *flags: str,
    table: str = "1",
    only: str = "fcn32s*/level_set",
    steps: int = 240,
) -> subprocess.Popen[str]:
    """A real driver, by default of one training of 240 steps."""
    words = ["table", table, "--data", str(data), "--runs", str(folder / "runs")]
    words += ["--out", str(folder / out), "--seeds", "1", "--only", only, "--wandb", "off", "--"]
    words += [f"--trainer.max_steps={steps}", f"--trainer.val_check_interval={steps // 2}"]
    words += ["--data.init_args.val_batch_size=1", *flags]
    return subprocess.Popen(
        [sys.executable, "-m", "reproduce", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "REPRODUCE_CHECKPOINT_SECONDS": "0"},
    )


@pytest.fixture
def ended() -> Iterator[list[subprocess.Popen[str]]]:
    processes: list[subprocess.Popen[str]] = []
    yield processes
    for each in processes:
        each.kill()


def until(condition: Callable[[], object], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_a_killed_driver(data: Path, tmp_path: Path, ended: list[subprocess.Popen[str]]) -> None:
    """Its run ends; two drivers at once go on from the checkpoint, one of them executes it."""
    first = driver(tmp_path, data, "a")
    ended.append(first)
    until(lambda: list(tmp_path.glob("runs/*/step-*.ckpt")))
    (folder,) = {path.parent for path in tmp_path.glob("runs/*/step-*.ckpt")}
    held = owner(folder)
    assert held is not None
    assert held.pid != first.pid
    first.kill()
    ended += [driver(tmp_path, data, "b"), driver(tmp_path, data, "c")]
    until(lambda: owner(folder) is None or owner(folder) != held, 10)
    outputs = [each.communicate(timeout=120)[0] for each in ended[1:]]
    assert [each.returncode for each in ended[1:]] == [0, 0], outputs
    pages = [(tmp_path / out / "demo/table1.md").read_text() for out in "bc"]
    assert pages[0] == pages[1]
    log = (folder / "log.txt").read_text()
    assert "ended: the driver is gone" in log
    assert log.count("resume: goes on after step") == 1
    assert log.count('{"state": "completed"}') == 1
    assert not (folder / "lock.json").exists()
    assert json.loads((folder / "record.json").read_text())["timing"]["steps"] == 240


def test_two_tables_at_once(data: Path, tmp_path: Path, ended: list[subprocess.Popen[str]]) -> None:
    """They share both trainings; each run is executed once, and both pages have all scores."""
    for out, table in (("a", "1"), ("b", "details")):
        ended.append(driver(tmp_path, data, out, table=table, only="fcn32s*", steps=24))
    outputs = [each.communicate(timeout=240)[0] for each in ended]
    assert [each.returncode for each in ended] == [0, 0], outputs
    logs = [path.read_text() for path in tmp_path.glob("runs/*/log.txt")]
    assert len(logs) == 4
    assert all(log.count('{"state": "completed"}') == 1 for log in logs)
    assert not any("resume:" in log for log in logs)
    assert not list(tmp_path.glob("runs/*/lock.json"))
    lines = (tmp_path / "a/demo/table1.md").read_text().splitlines()
    line = next(line for line in lines if line.startswith("| FCN-32s-ResNet101 |"))
    assert line.count("(1 seed)") == 2, line
    assert (
        "| Trainings | 1 | – | 1 | 1 shared | – |" in (tmp_path / "b/demo/details.md").read_text()
    )


def small_disk(folder: Path, megabytes: float) -> None:
    folder.mkdir()
    size = f"size={int(megabytes * 2**20)}"
    command = ["mount", "-t", "tmpfs", "-o", size, "tmpfs", str(folder)]
    if os.getuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("a small tmpfs cannot be mounted here")


def test_a_disk_that_fills(data: Path, tmp_path: Path, ended: list[subprocess.Popen[str]]) -> None:
    """Room for one checkpoint; the failure is recorded, tried again on demand only."""
    small_disk(tmp_path / "runs", 1.6)
    try:
        outputs: list[str] = []
        for flag in ((), ("--no-retry",), ()):
            if len(outputs) == 2:
                grow = ["mount", "-o", "remount,size=64m", str(tmp_path / "runs")]
                subprocess.run(grow, check=True)
            process = driver(tmp_path, data, "a", *flag)
            ended.append(process)
            outputs.append(process.communicate(timeout=120)[0])
        assert [each.returncode for each in ended] == [1, 1, 0], outputs
        assert "FAILED, the disk is full" in outputs[0]
        assert "failed: the disk is full" in outputs[1]
        assert "runs to do" not in outputs[1]
    finally:
        subprocess.run(["umount", "-l", str(tmp_path / "runs")], check=True)
