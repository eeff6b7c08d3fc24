"""Records and the store."""

import json
from pathlib import Path
from typing import Any

import pytest

from reproduce.errors import UserError
from reproduce.runs import store
from reproduce.runs.record import SCHEMA, dump_record, read_record, write_record
from reproduce.runs.report import list_runs, show_run, verify_runs
from tests.tables.examples import make_record


def put(runs: Path, record: dict[str, Any]) -> Path:
    folder = runs / str(record["id"])
    write_record(folder / "record.json", record)
    return folder


def test_round_trip(tmp_path: Path) -> None:
    record = make_record("fcn32s_resnet101", "baseline", 0, 50.0)
    folder = put(tmp_path, record)
    assert read_record(folder / "record.json") == record
    assert json.loads(dump_record(record)) == record
    assert [p.name for p in folder.iterdir()] == ["record.json"]


def test_completed_records_are_never_overwritten(tmp_path: Path) -> None:
    record = make_record("fcn32s_resnet101", "baseline", 0, 50.0)
    put(tmp_path, record)
    with pytest.raises(UserError, match="never overwritten"):
        put(tmp_path, record)
    failed = {**record, "id": "f" * 12, "state": "failed", "error": "no memory"}
    put(tmp_path, failed)
    put(tmp_path, failed)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "cannot be read"),
        ("[]", "expected a JSON object"),
        (json.dumps({"schema": SCHEMA + 1}), f"has schema {SCHEMA + 1}, this version reads up to"),
        (json.dumps({"schema": SCHEMA, "state": "completed"}), "lacks code, command, config"),
    ],
)
def test_bad_records(tmp_path: Path, text: str, message: str) -> None:
    folder = tmp_path / "0123456789ab"
    folder.mkdir()
    (folder / "record.json").write_text(text)
    run = store.look_up(folder)
    assert run.state == "unreadable"
    assert message in run.problem
    assert "\n" not in run.problem
    assert verify_runs(tmp_path)[1] == 1
    with pytest.raises(UserError):
        write_record(folder / "record.json", make_record("a", "b", 0, 1.0))
    assert (folder / "record.json").read_text() == text


def test_reports(tmp_path: Path) -> None:
    good = make_record("fcn32s_resnet101", "baseline", 0, 50.0)
    put(tmp_path, good)
    put(tmp_path, {**good, "id": "f" * 12, "state": "failed", "error": "no memory"})
    text = list_runs(tmp_path)
    assert "completed" in text
    assert "mIoU 50.00" in text
    assert "no memory" in text
    assert "mIoU 50.00 at step 4" in show_run(tmp_path, good["id"][:6])
    assert "problem    no memory" in show_run(tmp_path, "ffff")
    with pytest.raises(UserError, match="0 runs begin with 'zz'"):
        show_run(tmp_path, "zz")
    report, bad = verify_runs(tmp_path)
    assert bad == 1  # the failed one sits in a folder its content does not give
    assert "1 of 2 runs are sound" in report
    assert "no runs under" in list_runs(tmp_path / "none")


def test_unwritable_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"cannot be written .*: free space or name another"):
        store.check_writable(tmp_path / "file" / "runs")
