"""Cityscapes: folders, the table of ids, errors."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from reproduce.data import CityscapesDataModule
from reproduce.data.catalog import data_set
from reproduce.data.cityscapes import cityscapes_samples
from reproduce.data.images import read_mask
from reproduce.data.labels import CITYSCAPES, cityscapes_palette
from reproduce.data.manifest import data_manifest
from reproduce.errors import UserError

DATA = data_set("reproduce.data.CityscapesDataModule")
MASK = "gtFine/val/vala/vala_000000_000019_gtFine_labelIds.png"
IMAGE = "leftImg8bit/val/vala/vala_000000_000019_leftImg8bit.png"

#: name, id, trainId, colour as cityscapesScripts prints its table.
TABLE = """
road 7 0 128 64 128
sidewalk 8 1 244 35 232
building 11 2 70 70 70
wall 12 3 102 102 156
fence 13 4 190 153 153
pole 17 5 153 153 153
traffic_light 19 6 250 170 30
traffic_sign 20 7 220 220 0
vegetation 21 8 107 142 35
terrain 22 9 152 251 152
sky 23 10 70 130 180
person 24 11 220 20 60
rider 25 12 255 0 0
car 26 13 0 0 142
truck 27 14 0 0 70
bus 28 15 0 60 100
train 31 16 0 80 100
motorcycle 32 17 0 0 230
bicycle 33 18 119 11 32
"""


def test_table() -> None:
    rows = [line.split() for line in TABLE.split("\n") if line]
    assert [name.replace("_", " ") for name, *_ in rows] == list(CITYSCAPES.names)
    known = {int(row[1]): int(row[2]) for row in rows}
    assert CITYSCAPES.ids == {**{i: known.get(i, 255) for i in range(34)}, 255: 255}
    palette = cityscapes_palette()
    assert palette[:57] == [int(v) for row in rows for v in row[3:]]
    assert len(palette) == 768
    assert DATA.palette is cityscapes_palette
    assert DATA.official == {"train": 2975, "val": 500}


def test_against_torchvision() -> None:
    from torchvision.datasets import Cityscapes

    for entry in Cityscapes.classes:
        if entry.id >= 0:
            expected = 255 if entry.train_id in {-1, 255} else entry.train_id
            assert CITYSCAPES.ids[entry.id] == expected
            if expected != 255:
                start = 3 * expected
                assert tuple(cityscapes_palette()[start : start + 3]) == entry.color


def test_order_and_folders(cityscapes: Path) -> None:
    samples = cityscapes_samples(cityscapes, "train")
    assert [s.name[:16] for s in samples] == [
        "traina_000000_00",
        "traina_000002_00",
        "trainb_000001_00",
        "trainb_000003_00",
    ]
    assert cityscapes_samples(cityscapes / "cityscapes", "train") == samples


def test_masks(cityscapes: Path) -> None:
    for sample in cityscapes_samples(cityscapes, "val"):
        raw = np.asarray(Image.open(sample.mask))
        slow = [[CITYSCAPES.ids[int(v)] for v in row] for row in raw]
        assert np.array_equal(read_mask(sample.mask, CITYSCAPES), slow)
        assert len(np.unique(raw)) == 35


def test_module_and_manifest(cityscapes: Path, tmp_path: Path) -> None:
    data = CityscapesDataModule(cityscapes, batch_size=2, crop=32, val_batch_size=2, seed=0)
    data.setup("fit")
    (batch,) = list(data.val_dataloader())
    assert batch["mask"].shape == (2, 48, 96)
    assert set(batch["mask"].unique().tolist()) == {*range(19), 255}
    manifest = data_manifest(DATA, cityscapes, ("train", "val"), tmp_path / "cache")
    valid = int((batch["mask"] != 255).sum())
    assert manifest["splits"]["val"] == {"images": 2, "valid_pixels": valid}


def _save(labels: np.ndarray) -> Callable[[Path], object]:
    return lambda folder: Image.fromarray(labels.astype(np.uint8)).save(folder / MASK)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (
            lambda f: shutil.rmtree(f.parent),
            r"expected leftImg8bit and gtFine .*, found nothing: reproduce data prepare citysc",
        ),
        (lambda f: shutil.rmtree(f / "leftImg8bit"), r"expected leftImg8bit .* found other files"),
        (
            lambda f: shutil.rmtree(f / "gtFine"),
            r"expected files \*_gtFine_labelIds.png in the folders of .*gtFine/train, found none",
        ),
        (
            lambda f: shutil.rmtree(f / "leftImg8bit/val"),
            r"expected files \*_leftImg8bit.png in the folders of .*leftImg8bit/val, found none",
        ),
        (lambda f: (f / MASK).unlink(), r"1 of 2 masks are missing, the first is .*vala_000000"),
        (lambda f: (f / IMAGE).unlink(), r"1 of 2 images are missing, the first is .*vala_000000"),
        (_save(np.full((48, 96), 34)), r"holds labels \[34\], expected 0 to 33 or 255: is it a"),
        (
            _save(np.zeros((24, 48))),
            r"labelIds.png is 48x24, expected the size of its image, 96x48",
        ),
        (
            lambda f: (f / IMAGE).write_bytes((f / IMAGE).read_bytes()[:2000]),
            r"leftImg8bit.png cannot be decoded",
        ),
        (_save(np.zeros((48, 96, 3))), r"expected a palette or grey PNG of labels, found shape"),
    ],
)
def test_bad_data(
    cityscapes: Path, tmp_path: Path, spoil: Callable[[Path], object], message: str
) -> None:
    spoil(cityscapes / "cityscapes")
    with pytest.raises(UserError, match=message) as caught:
        data_manifest(DATA, cityscapes, ("train", "val"), tmp_path / "cache")
    assert "\n" not in str(caught.value)
