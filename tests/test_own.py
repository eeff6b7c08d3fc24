"""Classes of the user."""

import sys
from pathlib import Path

import pytest

from reproduce.errors import UserError
from reproduce.own import import_own, own_file, search_here


def test_only_files_of_the_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own_top").mkdir()
    for name in ("own_single.py", "own_top/__init__.py", "own_top/part.py"):
        (tmp_path / name).write_text("raise RuntimeError('imported')\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert own_file("own_single") == tmp_path / "own_single.py"
    assert own_file("own_top") == tmp_path / "own_top" / "__init__.py"
    assert own_file("own_top.part") == tmp_path / "own_top" / "part.py"
    for other in ("own_top.none", "own_none", "torch.nn", "numpy", "sys", "zlib"):
        assert own_file(other) is None


def test_the_current_folder_comes_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", ["/first"])
    monkeypatch.chdir(tmp_path)
    search_here()
    search_here()
    assert sys.path == ["/first", str(tmp_path)]


def test_failing_modules_are_named_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "own_broken.py").write_text("raise RuntimeError('two\\nlines')\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(
        UserError, match=r"^own_broken.A cannot be imported \(two lines\): expected"
    ):
        import_own("own_broken.A")
    assert import_own("pathlib.Path") is Path
