"""Locks of runs: taken once, kept alive, taken over when their owner is gone."""

import json
import multiprocessing
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from reproduce.runs.lock import NAME, STALE, Lock, adopt, owner, process_start, take
from reproduce.runs.orphan import ABANDONED, PARENT, Watch, parent_gone


def dead_process() -> int:
    process = subprocess.Popen(["true"])
    process.wait()
    return process.pid


def rewrite(folder: Path, **changes: Any) -> None:
    path = folder / NAME
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def age(folder: Path, seconds: float) -> None:
    past = time.time() - seconds
    os.utime(folder / NAME, (past, past))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "run"


def test_taken_once_and_given_back(folder: Path) -> None:
    lock = take(folder)
    assert lock is not None
    assert take(folder) is None
    held = owner(folder)
    assert held is not None
    assert held.pid == os.getpid()
    lock.release()
    assert owner(folder) is None
    assert not lock.beat()
    assert take(folder) is not None
    assert sorted(p.name for p in folder.iterdir()) == [NAME]


def test_of_a_process_that_is_gone(folder: Path) -> None:
    take(folder)
    rewrite(folder, pid=dead_process())
    assert owner(folder) is None
    assert take(folder) is not None


def test_process_numbers_come_again(folder: Path) -> None:
    """The number is in use, by a process that started at another time."""
    take(folder)
    rewrite(folder, start=1)
    assert owner(folder) is None


def test_a_process_not_yet_buried_is_gone() -> None:
    process = subprocess.Popen(["true"])
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert process_start(process.pid) is None
    process.wait()


def test_of_another_host(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only its heartbeat counts, by the file system's clock: this host's is wrong by an hour."""
    monkeypatch.setattr(time, "time", lambda: 0.0)
    take(folder)
    rewrite(folder, host="elsewhere", boot="another", pid=dead_process())
    held = owner(folder)
    assert held is not None
    assert held.host == "elsewhere"
    assert take(folder) is None
    monkeypatch.undo()
    age(folder, STALE + 5)
    assert owner(folder) is None
    assert take(folder) is not None


def test_a_slurm_job_that_is_begun_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On another node: Slurm has ended the first attempt, however fresh its heartbeat is."""
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    take(folder)
    rewrite(folder, boot="another")
    monkeypatch.setenv("SLURM_JOB_ID", "8")
    assert take(folder) is None
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    assert take(folder) is not None


@pytest.mark.parametrize("text", ["", "{", "[]", '{"who": 1}'])
def test_cut_short(folder: Path, text: str) -> None:
    folder.mkdir()
    (folder / NAME).write_text(text)
    assert take(folder) is None
    age(folder, STALE + 5)
    assert take(folder) is not None


def test_without_locks_and_links(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unsupported(*_: object) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr("fcntl.flock", unsupported)
    assert take(folder) is not None
    assert take(folder) is None
    monkeypatch.setattr(Path, "hardlink_to", unsupported)
    (folder / NAME).unlink()
    assert take(folder) is not None
    assert take(folder) is None


def _rival(folder: Path, barrier: Any, won: Any) -> None:
    barrier.wait()
    if take(folder) is not None:
        won.release()
    barrier.wait()  # the winner is alive until all have tried


@pytest.mark.parametrize("stale", [False, True])
def test_rivals(tmp_path: Path, stale: bool) -> None:
    """Eight processes at once, ten times: one gets it, free or stale."""
    context = multiprocessing.get_context("fork")
    for i in range(10):
        folder = tmp_path / str(i)
        if stale:
            take(folder)
            rewrite(folder, pid=dead_process())
        barrier, won = context.Barrier(8), context.Semaphore(0)
        rivals = [context.Process(target=_rival, args=(folder, barrier, won)) for _ in range(8)]
        for rival in rivals:
            rival.start()
        for rival in rivals:
            rival.join()
        assert won.acquire(block=False)
        assert not won.acquire(block=False)


def test_adopted(folder: Path) -> None:
    lock = take(folder)
    assert lock is not None
    rewrite(folder, pid=dead_process())
    adopted = adopt(folder, lock.token)
    assert adopted == lock
    assert owner(folder) is not None
    assert adopt(folder, "another") is None


class _Ended:
    """Stands for the end of the process."""

    def __init__(self) -> None:
        self.status: int | None = None

    def __call__(self, status: int) -> None:
        self.status = status

    def wait(self) -> None:
        deadline = time.monotonic() + 60
        while self.status is None and time.monotonic() < deadline:
            time.sleep(0.01)
        assert self.status == ABANDONED


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reproduce.runs.orphan.LOOK", 0.02)
    monkeypatch.setattr("reproduce.runs.orphan.BEAT", 0.05)


@pytest.mark.usefixtures("quick")
def test_heartbeat(folder: Path) -> None:
    lock = take(folder)
    with Watch(lock, None):
        for _ in range(3):
            age(folder, STALE + 5)
            deadline = time.monotonic() + 60
            while time.time() - (folder / NAME).stat().st_mtime > 1:
                assert time.monotonic() < deadline
                time.sleep(0.01)
    assert not (folder / NAME).exists()


@pytest.mark.usefixtures("quick")
def test_a_run_that_lost_its_lock_ends(folder: Path) -> None:
    take(folder)
    ended = _Ended()
    with Watch(Lock(folder, "lost"), None, ended):
        ended.wait()
    assert owner(folder) is not None  # the new owner's lock is untouched


@pytest.mark.usefixtures("quick")
def test_an_orphan_ends_and_gives_its_lock_back(folder: Path) -> None:
    ended = _Ended()
    with Watch(take(folder), lambda: True, ended):
        ended.wait()
        assert not (folder / NAME).exists()


def test_parent_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not parent_gone()()
    monkeypatch.setenv(PARENT, str(dead_process()))  # it ended before this process looked
    assert parent_gone()()
    assert PARENT not in os.environ


def test_a_killed_parent_is_noticed(tmp_path: Path) -> None:
    """A child that waits for ever but for its watch."""
    child = (
        "import sys, time; from pathlib import Path; from reproduce.runs import orphan\n"
        "from reproduce.runs.lock import take\n"
        "orphan.LOOK = 0.05\n"
        "with orphan.Watch(take(Path(sys.argv[1])), orphan.parent_gone()):\n"
        "    print(flush=True)\n"
        "    time.sleep(60)\n"
    )
    parent = "import subprocess, sys; subprocess.Popen(sys.argv[1:]).wait()"
    command = [sys.executable, "-c", parent, sys.executable, "-c", child, str(tmp_path / "run")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline()  # a parent gone before the watch began is not its parent
    assert owner(tmp_path / "run") is not None
    process.kill()
    process.wait()
    process.stdout.close()
    deadline = time.monotonic() + 60
    while (tmp_path / "run" / NAME).exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)
