"""The curves of a run that goes on, and what runs are tagged with."""

from pathlib import Path
from typing import Any

import pytest

from reproduce.experiments import read_table
from reproduce.runs.identity import identity_config
from reproduce.runs.loggers import csv_logger, tags
from reproduce.runs.plan import cell_config

WHOLE = "epoch,step,train/loss,val/miou\n0,0,2.0,\n0,5,1.5,\n0,9,,nan\n"


def rows(folder: Path, text: bytes, keep: int) -> list[dict[str, Any]]:
    (folder / "metrics.csv").write_bytes(text)
    return list(csv_logger(folder, keep).experiment.metrics)


def test_rows_after_the_checkpoint_are_left_out(tmp_path: Path) -> None:
    kept = rows(tmp_path, WHOLE.encode(), 6)
    assert [row["step"] for row in kept] == ["0", "5"]
    assert kept[1] == {"epoch": "0", "step": "5", "train/loss": "1.5"}
    assert rows(tmp_path, WHOLE.encode(), 10)[-1]["val/miou"] == "nan"
    assert not rows(tmp_path, WHOLE.encode(), 0)


def test_damaged_rows_are_left_out(tmp_path: Path) -> None:
    """A file that a power cut left shorter, or with other bytes, stops no run."""
    assert len(rows(tmp_path, WHOLE.encode()[:-13], 10)) == 2
    assert len(rows(tmp_path, WHOLE.encode() + b"0,9,1,x\n\x00\xff,\n,7,1,\n1,2,3,4,5\n", 10)) == 4
    assert not rows(tmp_path, b"\x00\xff{,\n\x00" * 9, 10)
    assert not rows(tmp_path, b"", 10)


def job_of(table: str, cell: str) -> dict[str, Any]:
    spec = read_table(table)
    row, column = next(spec.cells(cell))
    config = identity_config(cell_config(spec, row, column, "demo", 2, {}))
    about = {"config": config, "scale": "demo", "seed": 2, "data": {"data": "shapes"}}
    return {"experiment": f"{spec.name}/{row.key}/{column.key}", **about}


@pytest.mark.parametrize(
    ("table", "cell", "expected"),
    [
        ("1", "fcn8s_resnet101/baseline", {"FCN", "thin", "CrossEntropyLoss"}),
        ("1", "fcn8s_resnet101/level_set", {"FCN", "thin", "CrossEntropyLoss", "LevelSet"}),
        (
            "1",
            "deeplab_msc_largefov/baseline",
            {"DeepLabLargeFOV", "thin", "MSC", "CrossEntropyLoss"},
        ),
        ("5", "focal/rival", {"FocalLoss"}),
    ],
)
def test_tags(table: str, cell: str, expected: set[str]) -> None:
    found = tags(job_of(table, cell))
    assert len(found) == len(set(found))
    assert {*cell.split("/"), *expected, "shapes", "demo", "seed 2"} <= set(found)
    assert ("LevelSet" in found) == ("LevelSet" in expected)
    assert all(len(word) <= 64 for word in found)  # wandb takes no longer ones
