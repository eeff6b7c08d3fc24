"""docs/experiments.md: its additions are made in a copy of the project and run by the driver."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from reproduce.experiments import REPOSITORY
from reproduce.files import read_json
from tests.conftest import write_image, write_mask

TEXT = (REPOSITORY / "docs" / "experiments.md").read_text(encoding="utf-8")
#: File -> content, of the blocks that begin with the name of their file.
FILES = dict(re.findall(r"```(?:python|yaml)\n# (\S+)\n(.*?)```", TEXT, re.DOTALL))
FAST = ["--trainer.max_steps=2", "--trainer.val_check_interval=2", "--data.init_args.batch_size=2"]


def make_cells(root: Path) -> Path:
    """The layout of the page's data set."""
    rng = np.random.default_rng(0)
    for split, count in (("train", 4), ("val", 2)):
        names = [f"{split}{i}" for i in range(count)]
        for name in names:
            labels = np.zeros((72, 80), np.uint8)
            labels[20:50, 10:40] = 1
            labels[50:52] = 255
            write_image(
                root / "images" / f"{name}.jpg",
                rng.integers(0, 99, (72, 80, 3)) + 100 * labels[..., None] % 255,
            )
            write_mask(root / "masks" / f"{name}.png", labels)
        (root / f"{split}.txt").write_text("\n".join(names) + "\n")
    return root


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project with the files of the page; the user's modules lie beside it."""
    copy = tmp_path_factory.mktemp("project")
    for folder in ("reproduce", "experiments"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(REPOSITORY / folder, copy / folder, ignore=ignored)
    for name, text in FILES.items():
        path = copy / name if name.startswith("experiments/") else copy / "mine" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    make_cells(copy / "mine" / "data")
    return copy


def reproduce(place: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """The console script of the copy, called from the user's folder."""
    start = "import sys; from reproduce.cli import main; sys.path.remove(''); sys.exit(main())"
    return subprocess.run(
        [sys.executable, "-c", start, *words],
        cwd=place / "mine",
        env={**os.environ, "PYTHONPATH": str(place)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def made(place: Path) -> subprocess.CompletedProcess[str]:
    words = ["table", "cells", "--data", "data", "--seeds", "1", "--wandb", "off"]
    return reproduce(place, *words, "--", *FAST)


def test_each_addition_is_short() -> None:
    kinds = [("hypercolumns.py", "arch/hypercolumns"), ("cells.py", "data/cells")]
    kinds += [("absolute.py", "loss/absolute")]
    for module, fragment in kinds:
        assert module in FILES
        assert len(FILES[module].strip().splitlines()) < 30
        assert len(FILES[f"experiments/{fragment}.yaml"].splitlines()) < 10
    assert len(FILES["experiments/cells.yaml"].splitlines()) < 30
    assert len(FILES) == 7


def test_the_driver_runs_all_of_them(made: subprocess.CompletedProcess[str], place: Path) -> None:
    assert made.returncode == 0, made.stderr
    assert "# Losses for cells (demo scale)" in made.stdout
    records = [read_json(path) for path in (place / "mine" / "runs").glob("*/record.json")]
    classes = {record["config"]["model"]["class_path"] for record in records}
    assert classes == {"hypercolumns.Hypercolumns", "reproduce.models.FCN"}
    assert len(records) == 6
    for record in records:
        assert record["data"]["data"] == "cells"
        assert record["timing"]["steps"] == 2
        assert len(record["scores"]["last"]["iou"]) == 2
    assert "6 of 6 runs to do" in made.stdout


@pytest.mark.usefixtures("made")
def test_own_code_makes_numbers_stale(place: Path) -> None:
    path = place / "mine" / "hypercolumns.py"
    before = path.read_text()
    path.write_text(before.replace("nn.ReLU()", "nn.Tanh()"))
    words = ["table", "cells", "--seeds", "1", "--no-train", "--", *FAST]
    lines = reproduce(place, *words).stdout.splitlines()
    path.write_text(before)
    rows = [line for line in lines if line.startswith(("| Hypercolumns", "| FCN-8s"))]
    assert [line.count("stale") for line in rows] == [3, 0, 1, 0]


@pytest.mark.usefixtures("made")
def test_the_commands_of_the_page(place: Path) -> None:
    console = re.findall(r"```console\n(.*?)```", TEXT, re.DOTALL)
    dry, _, segment = "".join(console).replace("FOLDER", "data").splitlines()
    done = reproduce(place, *dry.split()[1:], "--seeds", "1", "--", *FAST)
    assert done.returncode == 0, done.stderr
    assert "6" in done.stdout
    records = (place / "mine" / "runs").glob("*/record.json")
    run = next(r.parent for r in records if "hypercolumns.H" in r.read_text())
    words = segment.replace("ID", run.name).replace("PICTURES", "data/images").split()[1:]
    done = reproduce(place, *words)
    assert done.returncode == 0, done.stderr
    assert len(list((place / "mine" / "DIR").glob("*_overlay.jpg"))) == 6
    refused = reproduce(place, *(w for w in words if w not in ("--allow", "hypercolumns", "cells")))
    assert refused.returncode == 2
    assert "'hypercolumns.Hypercolumns' is refused" in refused.stderr
    assert "--allow MODULE" in refused.stderr
    done = reproduce(place, "data", "verify", "cells.CellsDataModule", "--data", "data")
    assert done.returncode == 0, done.stderr
    assert "cells in data: every file decodes" in done.stdout
