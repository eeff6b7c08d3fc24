"""States of the folders of runs."""

import json
import os
from pathlib import Path

import pytest

from reproduce.runs import queue, store
from reproduce.runs.lock import take
from reproduce.runs.record import write_record
from reproduce.runs.report import list_runs, show_run
from tests.runs.test_lock import dead_process, rewrite
from tests.tables.examples import make_record


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "run"


def state(folder: Path) -> str:
    return store.look_up(folder).state


def test_states(folder: Path) -> None:
    assert state(folder) == "absent"
    lock = take(folder)
    assert lock is not None
    assert state(folder) == "running"
    (folder / "log.txt").write_text("")
    rewrite(folder, pid=dead_process())
    assert state(folder) == "interrupted"
    lock.release()
    assert state(folder) == "interrupted"
    failed = make_record("a", "b", 0, 1.0, state="failed", error="no memory")
    write_record(folder / "record.json", failed)
    assert state(folder) == "failed"
    lock = take(folder)
    assert state(folder) == "running"  # again
    write_record(folder / "record.json", make_record("a", "b", 0, 1.0))
    assert state(folder) == "completed"


def test_status_files_of_earlier_versions_say_nothing(folder: Path) -> None:
    folder.mkdir()
    (folder / "status.json").write_text('{"pid": 1, "host": "here"}')
    assert state(folder) == "absent"


def test_queued(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answers: list[frozenset[str] | None] = [frozenset({"12_0", "13"}), frozenset({"13"}), None]
    monkeypatch.setattr(queue, "listed", lambda _: answers.pop(0))
    queue.set_queued(folder, "12_0")
    assert state(folder) == "queued"
    assert state(folder) == "absent"
    assert state(folder) == "queued"  # squeue did not answer: the file is believed
    (folder / queue.NAME).write_text("{}")
    assert state(folder) == "absent"


def test_squeue_is_asked_once(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "bin" / "squeue"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/asked\necho 5_1\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    queue.set_queued(folder, "5_1")
    assert [state(folder) for _ in range(3)] == ["queued"] * 3
    assert len((tmp_path / "asked").read_text().splitlines()) == 1


def test_reports(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue, "listed", lambda _: None)
    queue.set_queued(folder, "12_0")
    assert "queued       Slurm job 12_0" in list_runs(folder.parent)
    lock = take(folder)
    assert lock is not None
    assert "running      on " in list_runs(folder.parent)
    lock.release()
    (folder / queue.NAME).unlink()
    failed = make_record("a", "b", 0, 1.0, state="failed", error="no memory")
    write_record(folder / "record.json", failed)
    (folder / "log.txt").write_text("".join(f"line {i}\n" for i in range(50)) + json.dumps({}))
    text = show_run(folder.parent, "run")
    assert "problem    no memory" in text
    assert "line 49" in text
    assert "line 20" not in text
