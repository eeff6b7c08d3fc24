"""What ``reproduce data verify`` says."""

import json
from pathlib import Path

import pytest

from reproduce.cli import main
from reproduce.data import verify as module
from reproduce.data.catalog import DATA_SETS, DataSet
from reproduce.data.verify import verify
from reproduce.errors import UserError


@pytest.fixture
def data() -> DataSet:
    known = DATA_SETS["reproduce.data.VOCDataModule"]
    return known._replace(official={"train": 4, "val": 1449, "more": 7})


def test_counts_stand_beside_the_official_ones(data: DataSet, voc: Path, tmp_path: Path) -> None:
    lines = verify(data, voc, tmp_path / "cache").splitlines()
    assert "every file decodes" in lines[0]
    assert "4 images, the official count; " in lines[1]
    assert "2 images, officially 1,449; " in lines[2]
    assert lines[3].startswith("more is left out: expected the list")
    manifest = json.loads((voc / "voc.manifest.json").read_text())
    assert list(manifest["splits"]) == ["train", "val"]
    assert lines[4] == f"digest {manifest['digest']}"
    assert lines[5].startswith("written to")
    assert list((tmp_path / "cache").glob("voc-*.json"))


def test_a_split_that_is_there_is_checked(data: DataSet, voc: Path, tmp_path: Path) -> None:
    lists = voc / "VOC2012/ImageSets/Segmentation"
    (lists / "more.txt").write_text((lists / "val.txt").read_text())
    text = verify(data, voc, tmp_path)
    assert "2 images, officially 7;" in text
    assert "left out" not in text


def test_a_read_only_root_is_respected(data: DataSet, voc: Path, tmp_path: Path) -> None:
    """Also by the superuser, whom the system would let write."""
    voc.chmod(0o555)
    try:
        assert verify(data, voc, tmp_path).splitlines()[-1].endswith("is read-only")
    finally:
        voc.chmod(0o755)
    assert not (voc / "voc.manifest.json").exists()


def test_a_root_that_cannot_be_written(
    data: DataSet, voc: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(module, "write_atomically", refuse)
    last = verify(data, voc, tmp_path).splitlines()[-1]
    assert last == "voc.manifest.json is not written: Read-only file system"


def test_a_bad_file_is_named(data: DataSet, voc: Path, tmp_path: Path) -> None:
    image = voc / "VOC2012/JPEGImages/2007_train002.jpg"
    image.write_bytes(image.read_bytes()[:200])
    with pytest.raises(UserError, match=r"2007_train002\.jpg cannot be decoded"):
        verify(data, voc, tmp_path)


def test_command(voc: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    where = ["--data", str(voc), "--runs", str(tmp_path / "runs")]
    assert main(["data", "verify", "voc", *where]) == 0
    assert "every file decodes" in capsys.readouterr().out
    assert list((tmp_path / "runs/.manifests").glob("voc-*.json"))


def test_default_roots(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["data", "prepare", "camvid"]) == 2
    assert "put it into data/camvid;" in capsys.readouterr().err
    assert main(["data", "verify", "shapes"]) == 2
    assert "data/shapes" in capsys.readouterr().err
