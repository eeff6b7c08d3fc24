"""The generated demo set."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from reproduce.data import shapes
from reproduce.data.catalog import data_set
from reproduce.data.labels import SHAPES
from reproduce.data.layouts import voc_samples
from reproduce.data.manifest import data_manifest
from reproduce.errors import UserError
from tests.conftest import write_mask

MASKS_SHA256 = "e01454929a32146ddd887dd346ab9d410138309615c7795a2f1c395bbf8280b8"
DATA = data_set("reproduce.data.ShapesDataModule")


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shapes, "COUNTS", {"train": 3, "val": 2})


@pytest.mark.usefixtures("small")
def test_deterministic_and_whole(tmp_path: Path) -> None:
    digests = []
    for name in ("a", "b"):
        shapes.make_shapes(tmp_path / name)
        manifest = data_manifest(DATA, tmp_path / name, ("train", "val"), tmp_path / "cache")
        digests.append(manifest["digest"])
    assert digests[0] == digests[1]
    assert [p.name for p in sorted(tmp_path.iterdir())] == ["a", "b", "cache"]
    sample = voc_samples(tmp_path / "a", "val")[1]
    image, mask = shapes.draw(np.random.default_rng([1, 1]))
    assert np.array_equal(np.asarray(Image.open(sample.mask)), mask)
    assert abs(np.asarray(Image.open(sample.image)).astype(int) - image).mean() < 12


@pytest.mark.usefixtures("small")
def test_existing_data_is_left_alone(tmp_path: Path) -> None:
    shapes.make_shapes(tmp_path / "s")
    before = (tmp_path / "s/VOC2012/JPEGImages/train_0000.jpg").stat().st_mtime_ns
    shapes.make_shapes(tmp_path / "s")
    assert (tmp_path / "s/VOC2012/JPEGImages/train_0000.jpg").stat().st_mtime_ns == before


def test_foreign_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("precious")
    with pytest.raises(UserError, match="leave DATA unset"):
        shapes.make_shapes(tmp_path)
    assert (tmp_path / "thesis.txt").read_text() == "precious"


@pytest.mark.usefixtures("small")
def test_changed_data_is_refused(tmp_path: Path) -> None:
    shapes.make_shapes(tmp_path / "s")
    sample = voc_samples(tmp_path / "s", "val")[0]
    write_mask(sample.mask, np.zeros((96, 96)))
    with pytest.raises(UserError, match="was changed, or made by another version: remove it"):
        shapes.make_shapes(tmp_path / "s")


def test_the_same_on_every_machine(tmp_path: Path) -> None:
    """The whole set's labels; a new hash needs a new VERSION."""
    shapes.make_shapes(tmp_path / "s")
    found = shapes.masks_sha256(tmp_path / "s" / "VOC2012")
    assert (shapes.VERSION, found) == ("1", MASKS_SHA256)


def test_content() -> None:
    """All kinds, small objects, thin sticks and void appear; void is a thin border."""
    masks = [shapes.draw(np.random.default_rng([0, i]))[1] for i in range(60)]
    labels = {int(v) for mask in masks for v in np.unique(mask)}
    assert labels == {*range(len(SHAPES.names)), 255}
    share = np.mean([(mask == 255).mean() for mask in masks])
    assert 0.01 < share < 0.08
    areas = [int((mask == k).sum()) for mask in masks for k in range(1, 7) if (mask == k).any()]
    assert min(areas) < 40
    assert max(areas) > 800
