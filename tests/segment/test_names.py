"""Results never meet each other or a picture of the user."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from reproduce.errors import UserError
from reproduce.segment.drawing import save
from reproduce.segment.names import made_here, plan

ENDINGS = (".png", "_overlay.jpg", "_level_set.png")


def put(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (2, 2)).save(path)


def stems(folder: Path, inputs: list[Path], out: str = "out") -> list[str]:
    found = plan(inputs, folder / out, ENDINGS)
    results = [str(p.result(e)).casefold() for p in found for e in ENDINGS]
    assert len(set(results)) == len(results)
    sources = {p.source.resolve() for p in found}
    assert not sources & {p.result(e).resolve() for p in found for e in ENDINGS}
    return [str(p.stem.relative_to(folder / out)) for p in found]


def test_sub_folders_and_hidden_files(tmp_path: Path) -> None:
    pics = tmp_path / "pics"
    put(pics / "b.jpg", pics / "a.PNG", pics / "x/y/c.tif", pics / ".d.jpg", pics / ".git/e.jpg")
    (pics / "notes.txt").write_text("")
    assert stems(tmp_path, [pics]) == ["a", "b", "x/y/c"]
    assert stems(tmp_path, [pics, pics / "b.jpg"]) == ["a", "b", "x/y/c"]


def test_same_stems(tmp_path: Path) -> None:
    pics = tmp_path / "pics"
    put(pics / "a.jpg", pics / "a.png", pics / "A.bmp", pics / "a_jpg.png", pics / "b.jpg")
    assert sorted(stems(tmp_path, [pics])) == ["A_bmp", "a_jpg", "a_jpg_png", "a_png", "b"]


def test_name_that_ends_like_a_result(tmp_path: Path) -> None:
    pics = tmp_path / "pics"
    put(pics / "a.jpg", pics / "a_overlay.jpg", pics / "a_level_set.tif")
    assert len(stems(tmp_path, [pics])) == 3
    assert len(stems(tmp_path, [pics], "pics")) == 3


def test_several_folders(tmp_path: Path) -> None:
    put(tmp_path / "one/a.jpg", tmp_path / "two/a.jpg", tmp_path / "deep/one/a.jpg")
    inputs = [tmp_path / "one", tmp_path / "two", tmp_path / "deep/one"]
    assert stems(tmp_path, inputs) == ["one/a_jpg", "two/a", "one/a_jpg_2"]


def test_beside_the_pictures(tmp_path: Path) -> None:
    """Also pictures that were not named, and results of an earlier call, are safe."""
    put(tmp_path / "a.jpg", tmp_path / "b.jpg", tmp_path / "b.png")
    assert stems(tmp_path, [tmp_path / "a.jpg"], ".") == ["a"]
    assert stems(tmp_path, [tmp_path / "b.jpg"], ".") == ["b_jpg"]
    save(Image.fromarray(np.zeros((2, 2), np.uint8)), tmp_path / "a.png")
    save(Image.new("RGB", (2, 2)), tmp_path / "a_overlay.jpg")
    assert made_here(tmp_path / "a.png")
    assert made_here(tmp_path / "a_overlay.jpg")
    assert not made_here(tmp_path / "b.png")
    assert stems(tmp_path, [tmp_path / "a.jpg"], ".") == ["a"]
    assert stems(tmp_path, [tmp_path], ".") == ["a", "b_jpg", "b_png"]
    assert stems(tmp_path, [tmp_path / "a.png"], ".") == ["a_png"]


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"nowhere.jpg does not exist"):
        plan([tmp_path / "nowhere.jpg"], tmp_path, ENDINGS)
    with pytest.raises(UserError, match=r"no pictures in .*: expected .avif"):
        plan([tmp_path], tmp_path, ENDINGS)
