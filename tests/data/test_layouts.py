"""Layouts, manifests and the errors of bad data."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from reproduce.data.catalog import DATA_SETS, data_set
from reproduce.data.images import read_image, read_mask
from reproduce.data.labels import CAMVID, VOC
from reproduce.data.layouts import camvid_samples, voc_samples
from reproduce.data.manifest import data_manifest
from reproduce.errors import UserError
from tests.conftest import make_voc, write_mask

VOC_SET = data_set("reproduce.data.VOCDataModule")
SPLITS = ("train", "val")


def test_voc_root_in_three_forms(voc: Path) -> None:
    names = [s.name for s in voc_samples(voc, "train")]
    assert names == [f"2007_train{i:03d}" for i in range(4)]
    assert voc_samples(voc / "VOC2012", "train") == voc_samples(voc, "train")
    assert voc_samples(voc.parent, "train") == voc_samples(voc, "train")


def test_palette_masks_are_indices_with_void(voc: Path) -> None:
    mask = read_mask(voc_samples(voc, "train")[1].mask, VOC)
    assert mask.shape == (52, 58)
    assert set(np.unique(mask)) == {0, 2, 255}


def test_camvid_void(camvid: Path) -> None:
    sample = camvid_samples(camvid, "test")[0]
    raw = np.asarray(Image.open(sample.mask))
    mask = read_mask(sample.mask, CAMVID)
    assert np.array_equal(mask == 255, raw == 11)
    assert np.array_equal(mask[raw != 11], raw[raw != 11])


def test_manifest_counts_and_changes(voc: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    manifest = data_manifest(VOC_SET, voc, SPLITS, cache)
    valid = sum(int((read_mask(s.mask, VOC) != 255).sum()) for s in voc_samples(voc, "val"))
    assert manifest["splits"]["val"] == {"images": 2, "valid_pixels": valid}
    assert data_manifest(VOC_SET, voc, SPLITS, cache) == manifest
    moved = make_voc(tmp_path / "elsewhere")
    assert data_manifest(VOC_SET, moved, SPLITS, cache)["digest"] == manifest["digest"]
    sample = voc_samples(voc, "val")[0]
    labels = read_mask(sample.mask, VOC).copy()
    labels[0, 0] = 5
    write_mask(sample.mask, labels)
    assert data_manifest(VOC_SET, voc, SPLITS, cache)["digest"] != manifest["digest"]


def test_cache_is_used(voc: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = data_manifest(VOC_SET, voc, SPLITS, tmp_path / "cache")
    monkeypatch.setattr("reproduce.data.manifest._examine", None)
    assert data_manifest(VOC_SET, voc, SPLITS, tmp_path / "cache") == first


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda v: (v / "JPEGImages/2007_val000.jpg").unlink(), r"1 of 2 images are missing"),
        (lambda v: (v / "SegmentationClass/2007_train002.png").unlink(), r"1 of 4 masks are miss"),
        (lambda v: _truncate(v / "JPEGImages/2007_train001.jpg"), r"train001.jpg cannot be dec"),
        (lambda v: _truncate(v / "SegmentationClass/2007_val001.png"), r"val001.png cannot be d"),
        (
            lambda v: write_mask(v / "SegmentationClass/2007_val000.png", np.full((48, 60), 21)),
            r"val000.png holds labels \[21\], expected 0 to 20 or void \(255\)",
        ),
        (
            lambda v: write_mask(v / "SegmentationClass/2007_val000.png", np.zeros((48, 59))),
            r"val000.png is 59x48, expected the size of its image, 60x48",
        ),
        (
            lambda v: (
                Image.open(v / "SegmentationClass/2007_val000.png")
                .convert("RGB")
                .save(v / "SegmentationClass/2007_val000.png")
            ),
            r"val000.png: expected a palette or grey PNG of labels",
        ),
        (lambda v: (v / "ImageSets/Segmentation/val.txt").unlink(), r"expected the list .*val.txt"),
        (lambda v: (v / "ImageSets/Segmentation/val.txt").write_text(""), r"val.txt is empty"),
        (
            lambda v: (v / "ImageSets/Segmentation/val.txt").write_text("2007_val000\n" * 2),
            r"val.txt names 2007_val000 more than once",
        ),
    ],
)
def test_bad_voc(voc: Path, tmp_path: Path, spoil: object, message: str) -> None:
    spoil(voc / "VOC2012")  # type: ignore[operator]
    with pytest.raises(UserError, match=message) as caught:
        data_manifest(VOC_SET, voc, SPLITS, tmp_path / "cache")
    assert "\n" not in str(caught.value)


def test_no_root_and_a_wrong_root(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"expected a VOC root .* found nothing: fetch it"):
        voc_samples(tmp_path / "nowhere", "train")
    with pytest.raises(UserError, match=r"found another folder"):
        voc_samples(tmp_path, "train")
    with pytest.raises(UserError, match=r"expected the list .*train.txt"):
        camvid_samples(tmp_path, "train")
    with pytest.raises(UserError, match=r"unknown data 'x': expected one of reproduce.data.VOC"):
        data_set("x")


def test_camvid_list_with_one_column(camvid: Path) -> None:
    (camvid / "val.txt").write_text("val/0000.jpg\n")
    with pytest.raises(UserError, match="expected 'image mask' a line"):
        camvid_samples(camvid, "val")


def test_grey_and_palette_images_become_rgb(tmp_path: Path) -> None:
    Image.fromarray(np.full((4, 5), 9, np.uint8)).save(tmp_path / "grey.png")
    assert read_image(tmp_path / "grey.png").shape == (4, 5, 3)


def test_real_voc(shared_data: Path, tmp_path: Path) -> None:
    """The official subset: every file decodes, sizes and labels are right."""
    manifest = data_manifest(VOC_SET, shared_data / "VOCdevkit", SPLITS, tmp_path)
    assert manifest["splits"]["train"]["images"] == 311
    assert manifest["splits"]["val"]["images"] == 321


def test_real_camvid(shared_data: Path, tmp_path: Path) -> None:
    data = DATA_SETS["reproduce.data.CamVidDataModule"]
    manifest = data_manifest(data, shared_data / "camvid", ("train", "test"), tmp_path)
    assert {k: v["images"] for k, v in manifest["splits"].items()} == {"train": 367, "test": 233}


def test_the_catalogue_loads_neither_torch_nor_scipy() -> None:
    """The table driver reads it at every start."""
    code = "import sys, reproduce.data.catalog; print({'torch', 'scipy', 'cv2'} & set(sys.modules))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == "set()\n"


def test_every_data_set_is_exported() -> None:
    import reproduce.data

    for path, data in DATA_SETS.items():
        name = path.rpartition(".")[2]
        assert name in reproduce.data.__all__
        assert getattr(reproduce.data, name).data == data
    assert len({data.name for data in DATA_SETS.values()}) == len(DATA_SETS)
    with pytest.raises(AttributeError, match="has no attribute 'ImageNetDataModule'"):
        _ = reproduce.data.ImageNetDataModule
