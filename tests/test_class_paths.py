"""Configurations from elsewhere build no classes of other packages, unless that is allowed."""

import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from reproduce import cli
from reproduce.class_paths import check_words, foreign
from reproduce.experiments import read_table
from reproduce.runs.plan import cell_config

EVIL: dict[str, Any] = {"model": {"class_path": "evil_package.Net", "init_args": {}}}


@pytest.fixture
def evil(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package that leaves a file when it is imported, and a configuration that names it."""
    (tmp_path / "evil_package.py").write_text(
        "from pathlib import Path\n"
        "from reproduce.models import FCN\n"
        f"Path({str(tmp_path / 'ran')!r}).touch()\n"
        "class Net(FCN):\n    pass\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["reproduce"])
    return tmp_path


def refused(words: list[str], capsys: pytest.CaptureFixture[str], place: Path) -> None:
    assert cli.main(words) == 2
    error = capsys.readouterr().err
    error = error.splitlines(keepends=True)[-1]  # Lightning tells of seeds and devices before
    assert "names the class 'evil_package.Net': expected classes of reproduce, torch" in error
    assert "add --allow evil_package\n" in error
    assert not (place / "ran").exists()


@pytest.mark.parametrize("command", ["fit", "validate", "test", "predict"])
@pytest.mark.parametrize("form", [["--config", "a.yaml"], ["--config=a.yaml"], ["-c", "a.yaml"]])
def test_a_config_is_refused_before_anything_is_imported(
    command: str, form: list[str], evil: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (evil / "a.yaml").write_text(yaml.safe_dump(EVIL))
    refused([command, *form], capsys, evil)


def test_files_named_in_files_are_looked_at(evil: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (evil / "model.yaml").write_text(yaml.safe_dump(EVIL["model"]))
    (evil / "a.yaml").write_text("model: model.yaml\n")
    refused(["fit", "--config", "a.yaml"], capsys, evil)
    refused(["fit", "--model", "model.yaml"], capsys, evil)
    (evil / "loop.yaml").write_text("model: loop.yaml\n")
    check_words(["--config", "loop.yaml"])


def test_callbacks_and_losses_count_too() -> None:
    nested = {"model": {"init_args": {"criterion": {"class_path": "subprocess.Popen"}}}}
    listed = {"trainer": {"callbacks": [{"class_path": "os.system"}, {"class_path": 3}]}}
    assert foreign([nested, listed]) == ["subprocess.Popen", "os.system", 3]
    fine = ["reproduce.models.FCN", "torch.optim.SGD", "lightning.pytorch.Trainer", "FCN"]
    assert not foreign([{"class_path": path} for path in fine])
    assert foreign({"class_path": "reproducer.models.FCN"})


def test_our_own_configurations_name_no_others() -> None:
    for name in ("table1", "table5"):
        table = read_table(name)
        for row, column in table.cells():
            assert not foreign(cell_config(table, row, column, "demo", 0, {}))


def test_allowed(evil: Path, voc: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """And words of the command line are looked at like files; checkpoints bring classes too."""
    options = {"stride": 8, "trunk": "thin", "num_classes": 21, "recipe": {"lr": 0.1}}
    config: dict[str, Any] = {
        "model": {**EVIL["model"], "init_args": options},
        "data": {
            "class_path": "reproduce.data.VOCDataModule",
            "init_args": {"root": str(voc), "crop": 32, "batch_size": 2},
        },
        "trainer": {"max_steps": 1, "logger": False, "limit_val_batches": 0},
    }
    (evil / "a.yaml").write_text(yaml.safe_dump(config))
    words = ["fit", "--config", "a.yaml"]
    refused(words, capsys, evil)
    assert cli.main([*words, "--allow", "evil_package"]) == 0
    assert (evil / "ran").exists()
    (evil / "ran").unlink()
    (path,) = evil.glob("checkpoints/*.ckpt")
    content = torch.load(path, weights_only=True)
    content["hyper_parameters"] = {"_class_path": "evil_package.Net"}
    torch.save(content, path)
    config["model"]["class_path"] = "reproduce.models.FCN"
    (evil / "a.yaml").write_text(yaml.safe_dump(config))
    refused(["validate", "--config", "a.yaml", "--ckpt_path", str(path)], capsys, evil)
