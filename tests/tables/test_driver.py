"""The driver without training: planning, rendering from logs, committed tables."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from reproduce.errors import UserError
from reproduce.experiments import REPOSITORY
from reproduce.runs.record import write_record
from reproduce.tables.check import check_tables, stale_tables
from reproduce.tables.driver import Request, make_table
from reproduce.tables.dry_run import dry_run
from tests.conftest import make_voc
from tests.tables.examples import make_record


@pytest.fixture
def request_of(tmp_path: Path) -> Any:
    root = make_voc(tmp_path / "shapes", classes=7)

    def build(**changes: Any) -> Request:
        options: dict[str, Any] = {
            "name": "1",
            "data": root,
            "runs": tmp_path / "runs",
            "out": tmp_path / "tables",
            "train": False,
        }
        return Request(**{**options, **changes})

    return build


def test_committed_tables_are_what_their_records_give() -> None:
    assert "every table" in check_tables(REPOSITORY / "tables")


def test_tampering_is_found(tmp_path: Path) -> None:
    out = Path(shutil.copytree(REPOSITORY / "tables", tmp_path / "tables"))
    page = next(out.glob("*/table1.md"))
    page.write_text(page.read_text().replace("65.1", "65.2"))
    assert stale_tables(out) == [str(page)]
    with pytest.raises(UserError, match=r"table1.md is not what its records give"):
        check_tables(out)


def test_renders_what_is_logged(request_of: Any, capsys: pytest.CaptureFixture[str]) -> None:
    request = request_of(data=None)
    for seed in range(2):
        record = make_record("fcn32s_resnet101", "baseline", seed, 20.0 + seed)
        write_record(request.runs / record["id"] / "record.json", record)
    assert make_table(request) == 0
    page = (request.out / "demo" / "table1.md").read_text()
    assert "| FCN-32s-ResNet101 | 20.50 ± 6.35 | 65.1 |" in page
    assert page in capsys.readouterr().out
    assert (request.out / "demo" / "table1.svg").read_text().startswith("<?xml")
    assert stale_tables(request.out) == []
    shutil.rmtree(request.runs)
    assert make_table(request) == 0
    assert (request.out / "demo" / "table1.md").read_text() == page


def test_a_stale_run_does_not_replace_a_fresh_record(request_of: Any) -> None:
    """Whatever their dates; of two fresh ones the later counts."""
    request = request_of(data=None, seeds=1)
    record = make_record("fcn32s_resnet101", "baseline", 0, 20.0)
    path = request.runs / record["id"] / "record.json"
    write_record(path, record)
    make_table(request)
    page = request.out / "demo" / "table1.md"
    assert "| FCN-32s-ResNet101 | 20.00 (1 seed) | 65.1 |" in page.read_text()
    for changes, expected in (
        ({"code": "old", "date": "2027-01-01 00:00"}, "20.00 (1 seed)"),
        ({"date": "2025-01-01 00:00"}, "20.00 (1 seed)"),
        ({"date": "2027-01-01 00:00"}, "30.00 (1 seed)"),
    ):
        path.unlink()
        write_record(path, make_record("fcn32s_resnet101", "baseline", 0, 30.0, **changes))
        make_table(request)
        assert f"| FCN-32s-ResNet101 | {expected} | 65.1 |" in page.read_text()


def test_tables_that_share_a_run_follow_its_new_record(request_of: Any) -> None:
    request = request_of(data=None, seeds=1)
    record = make_record("fcn32s_resnet101", "baseline", 0, 20.0)
    path = request.runs / record["id"] / "record.json"
    write_record(path, record)
    make_table(request_of(name="ablations", data=None, seeds=1))
    page = request.out / "demo" / "ablations.md"
    assert "| FCN-32s as in Table 1 (λ 4e-4, ε 0.05) | 20.00 (1 seed) |" in page.read_text()
    path.unlink()
    later = make_record("fcn32s_resnet101", "baseline", 0, 30.0, date="2027-01-01 00:00")
    write_record(path, later)
    make_table(request)
    assert "| FCN-32s as in Table 1 (λ 4e-4, ε 0.05) | 30.00 (1 seed) |" in page.read_text()
    assert stale_tables(request.out) == []


def test_flags_stand_in_the_head(request_of: Any) -> None:
    request = request_of(data=None, flags=["--trainer.max_steps=3"])
    assert make_table(request) == 0
    page = (request.out / "demo" / "table1.md").read_text()
    assert "Flags over the configuration: `--trainer.max_steps=3`." in page
    assert stale_tables(request.out) == []


def test_a_failure_goes_before_an_older_record(request_of: Any) -> None:
    request = request_of(seeds=1, only="fcn32s*/baseline")
    name = dry_run(request).split()[0]
    record = make_record("fcn32s_resnet101", "baseline", 0, 20.0)
    path = request.runs / name / "record.json"
    write_record(path, {**record, "id": name, "state": "failed", "error": "no memory"})
    make_table(request)
    page = (request.out / "demo" / "table1.md").read_text()
    assert "| FCN-32s-ResNet101 | not run (1 failed) | 65.1 |" in page
    assert "| 0 | failed: no memory |" in page


def test_records_of_other_data_do_not_count(request_of: Any) -> None:
    request = request_of()
    record = make_record("fcn32s_resnet101", "baseline", 0, 20.0)
    write_record(request.runs / record["id"] / "record.json", record)
    assert make_table(request) == 0
    page = (request.out / "demo" / "table1.md").read_text()
    assert "| FCN-32s-ResNet101 | not run | 65.1 |" in page


def test_dry_run(request_of: Any) -> None:
    *lines, last = dry_run(request_of(only="fcn8s*", seeds=2)).splitlines()
    assert last == "4 of 4 runs would run"
    assert len(lines) == 4
    assert all(line.endswith("absent, would run") for line in lines)
    assert len({line.split()[0] for line in lines}) == 4


def test_cells_that_share_a_run_name_it_once(
    request_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The baseline of the readings of the loss is one and the same run."""
    request = request_of(name="ablations", only="default,batch_means,grid_8", seeds=1)
    *lines, last = dry_run(request).splitlines()
    assert [line.split()[1] for line in lines] == [
        "ablations/default/baseline",
        "ablations/default/level_set",
        "ablations/grid_8/baseline",
        "ablations/grid_8/level_set",
        "ablations/batch_means/level_set",
    ]
    assert last == "5 of 5 runs would run"
    launched: list[str] = []

    def launch(_: object, jobs: list[Any]) -> int:
        launched.extend(job.id for job in jobs)
        return 0

    monkeypatch.setattr("reproduce.runs.launch.Launcher.run", launch)
    make_table(request_of(name="ablations", only="default,batch_means", seeds=1, train=True))
    assert len(launched) == len(set(launched)) == 3


def test_dry_run_without_data_and_weights(
    request_of: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Costs are measured and what is missing is listed, though nothing could start."""
    monkeypatch.setenv("REPRODUCE_WEIGHTS", str(tmp_path))
    monkeypatch.setattr("torch.hub.get_dir", lambda: str(tmp_path))
    small = ["--data.init_args.crop=64", "--data.init_args.batch_size=1"]
    request = request_of(scale="paper", data=None, only="deeplab_largefov", seeds=1, flags=small)
    first, crf, second, total, *missing = dry_run(request).splitlines()
    costs = (
        r"-{12}  table1/deeplab_largefov/%s seed 0: absent, would run, about .* and .* on 1 core"
    )
    assert re.fullmatch(costs % "baseline", first)
    assert re.fullmatch(costs % "level_set", second)
    assert crf == f"{'-' * 12}  table1/deeplab_largefov/crfs seed 0 evaluation: absent, would run"
    assert re.fullmatch(r"3 of 3 runs would run, training about [\d.]+ h one after another", total)
    assert missing == [
        "missing: no data: name the folder of voc with DATA=FOLDER (or --data FOLDER)",
        "missing: weights vgg16_imagenet (VGG16_Weights.IMAGENET1K_V1): will be downloaded",
    ]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seeds": 0}, "expected at least 1 seed, got 0"),
        ({"name": "table7"}, "unknown table"),
        ({"only": "fcn9s"}, "matches nothing"),
        ({"flags": ["--devices=2"]}, "expected a Lightning flag"),
        ({"flags": ["--trainer.devices=3"]}, "a batch of 8 cannot be split over 3 devices"),
        ({"flags": ["--trainer.num_nodes=2"]}, "--trainer.num_nodes=2 needs a cluster"),
        ({"scale": "lite", "data": None}, "no data: name the folder of voc with DATA="),
        ({"scale": "lite", "data": Path("/nonexistent")}, "expected a VOC root"),
    ],
)
def test_mistakes(request_of: Any, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        make_table(request_of(train=True, **changes))


def test_index_names_its_records(request_of: Any) -> None:
    request = request_of(data=None)
    record = make_record("fcn32s_resnet101", "baseline", 0, 20.0)
    write_record(request.runs / record["id"] / "record.json", record)
    make_table(request)
    index = json.loads((request.out / "demo" / "table1.json").read_text())
    assert index["records"] == {record["config_hash"]: record["id"]}
