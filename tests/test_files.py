"""Atomic writing."""

from pathlib import Path

import pytest

from reproduce.errors import UserError
from reproduce.files import read_json, write_atomically


def test_replaces_whole_files(tmp_path: Path) -> None:
    path = tmp_path / "new" / "file.json"
    write_atomically(path, "{}")
    write_atomically(path, '{"a": 1}')
    assert read_json(path) == {"a": 1}
    assert [p.name for p in path.parent.iterdir()] == ["file.json"]


def test_a_failure_keeps_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    write_atomically(path, "old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_atomically(path, "new")
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_unreadable(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be read"):
        read_json(tmp_path / "none.json")
