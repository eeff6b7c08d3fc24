"""What runs are tagged with."""

from typing import Any

import pytest

from reproduce.experiments import read_table
from reproduce.runs.identity import identity_config
from reproduce.runs.loggers import tags
from reproduce.runs.plan import cell_config


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
