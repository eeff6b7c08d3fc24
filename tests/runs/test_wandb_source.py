"""Tables from Weights & Biases, by its own client from a small server."""

from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from reproduce.cli import main
from reproduce.errors import UserError
from reproduce.runs import wandb_source
from reproduce.runs.record import dump_record, write_record
from reproduce.runs.wandb_source import project_of, wandb_records
from reproduce.tables.driver import Request, make_table
from tests.runs.wandb_server import ENTITY, PROJECT, StoredRun, WandbServer
from tests.tables.examples import make_record

SOURCE = f"wandb:{ENTITY}/{PROJECT}"


def store(server: WandbServer, record: dict[str, Any], **changes: Any) -> StoredRun:
    """A run with a record as a mirror leaves it; ``changes`` are attributes of the run."""
    content = dump_record(record).encode()
    run = StoredRun(record["id"], "finished", files={"record.json": content})
    run.config = {"config_hash": {"value": record["config_hash"]}}
    run.summary = {"record_sha256": sha256(content).hexdigest()}
    for name, value in changes.items():
        setattr(run, name, value)
    server.runs[run.name] = run
    return run


def read(*records: dict[str, Any]) -> list[dict[str, Any]]:
    return wandb_records(SOURCE, {record["config_hash"] for record in records})


def some_records() -> list[dict[str, Any]]:
    """Both columns of a row, three seeds."""
    return [
        make_record("fcn32s_resnet101", column, seed, miou + seed)
        for column, miou in (("baseline", 20.0), ("level_set", 22.0))
        for seed in range(3)
    ]


def test_the_table_is_that_of_the_local_records(
    server: WandbServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Byte for byte, records included, from more pages than one."""
    monkeypatch.setattr(wandb_source, "PAGE", 4)
    for record in some_records():
        store(server, record)
        write_record(tmp_path / "runs" / record["id"] / "record.json", record)
    assert make_table(Request("1", runs=tmp_path / "runs", out=tmp_path / "a", train=False)) == 0
    words = ["table", "1", "--source", SOURCE, "--out", str(tmp_path / "b")]
    assert main([*words, "--runs", str(tmp_path / "none")]) == 0
    files = {p.relative_to(tmp_path / "a") for p in (tmp_path / "a").rglob("*") if p.is_file()}
    assert len([file for file in files if file.parent.name == "records"]) == 6
    for file in files - {Path("demo/.lock")}:
        assert (tmp_path / "b" / file).read_bytes() == (tmp_path / "a" / file).read_bytes(), file
    assert server.asked.count("Runs") == 2
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("state", ["running", "crashed", "killed", "failed"])
def test_only_finished_runs_count(server: WandbServer, state: str) -> None:
    """Also if the server did not care for the filter."""
    first, second, *_ = some_records()
    store(server, first, state=state)
    store(server, second)
    server.filtering = False
    assert [record["id"] for record in read(first, second)] == [second["id"]]


def test_other_configurations_are_left_alone(server: WandbServer) -> None:
    first, second, *_ = some_records()
    store(server, first)
    store(server, second)
    assert [record["id"] for record in read(first)] == [first["id"]]
    assert server.asked.count("RunFiles") == 1


def test_the_newest_of_two_runs_counts(server: WandbServer, tmp_path: Path) -> None:
    """Such as one of each of two people, under other names."""
    old = make_record("fcn32s_resnet101", "baseline", 0, 20.0)
    new = make_record("fcn32s_resnet101", "baseline", 0, 30.0, date="2027-01-01 00:00")
    store(server, new, name="new")
    store(server, old, name="old")
    make_table(Request("1", seeds=1, out=tmp_path, source=SOURCE))
    page = (tmp_path / "demo" / "table1.md").read_text()
    assert "| FCN-32s-ResNet101 | 30.00 (1 seed) | 65.1 |" in page


#: Changes to a record after which it is none; ``None`` takes an entry away.
TAMPERED: dict[str, dict[str, Any]] = {
    "id": {"id": "../../../../etc/cron.d/x"},
    "config": {"config": {"trainer": {"max_steps": 1}}},
    "data": {"data": {"digest": "0" * 64}},
    "schema": {"schema": 99},
    "config is no mapping": {"config": [1]},
    "failed": {"state": "failed", "error": "no memory"},
    "scores": {"scores": None},
}


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("id", "do not give the id it has"),
        ("config", "does not have the hash it names"),
        ("data", "do not give the id it has"),
        ("schema", "has schema 99"),
        ("config is no mapping", "is no record"),
        ("failed", "not of a completed run"),
        ("scores", "lacks scores"),
    ],
)
def test_records_that_are_not_sound_are_left_out_and_named(
    server: WandbServer, capsys: pytest.CaptureFixture[str], what: str, message: str
) -> None:
    first, second, *_ = some_records()
    record = {**first, **TAMPERED[what]}
    store(server, {k: v for k, v in record.items() if v is not None}, name="bad")
    store(server, second)
    assert [record["id"] for record in read(first, second)] == [second["id"]]
    told = capsys.readouterr().err
    assert told.startswith("reproduce: W&B run 'bad' is left out: ")
    assert message in told


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "it has no file record.json"),
        ({"record.json": b"{}"}, "its summary says"),
        ({"../record.json": b"{}"}, "it has no file record.json"),
    ],
)
def test_files_that_are_not_the_announced_record(
    server: WandbServer, capsys: pytest.CaptureFixture[str], files: dict[str, bytes], message: str
) -> None:
    record = some_records()[0]
    store(server, record, files=files)
    server.naming = False
    assert read(record) == []
    assert message in capsys.readouterr().err


@pytest.mark.usefixtures("server")
def test_mistakes(monkeypatch: pytest.MonkeyPatch) -> None:
    assert project_of(SOURCE) == f"{ENTITY}/{PROJECT}"
    for source in ("wandb", "wandb:", "wandb:project", "wandb:a/b/c", "elsewhere:a/b"):
        with pytest.raises(UserError, match=r"expected local or wandb:ENTITY/PROJECT"):
            wandb_records(source, {"x"})
    with pytest.raises(UserError, match=r"nothing cannot be read .*Could not find project"):
        wandb_records(f"wandb:{ENTITY}/nothing", {"x"})
    with monkeypatch.context() as patch:
        patch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
        with pytest.raises(UserError, match="does not answer"):
            wandb_records(SOURCE, {"x"})
    monkeypatch.delenv("WANDB_API_KEY")
    monkeypatch.setenv("NETRC", "/nonexistent")
    with pytest.raises(UserError, match="not logged in"):
        wandb_records(SOURCE, {"x"})


@pytest.mark.usefixtures("server")
def test_the_command_line_says_so_in_one_line(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    words = ["table", "1", "--out", str(tmp_path), "--source"]
    assert main([*words, "wandb:nowhere"]) == 2
    assert main([*words, f"wandb:{ENTITY}/nothing"]) == 2
    assert main([*words, SOURCE, "--dry-run"]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 3
    assert all(line.startswith("reproduce: ") for line in lines)
    assert not list(tmp_path.rglob("*.md"))
