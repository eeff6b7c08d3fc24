"""VOC 2012 with SBD: the set operation, which mask and image are taken, what may be missing."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from reproduce.data.catalog import data_set
from reproduce.data.images import read_mask
from reproduce.data.labels import VOC
from reproduce.data.layouts import voc_samples
from reproduce.data.manifest import data_manifest
from reproduce.data.sbd import trainaug_ids
from reproduce.errors import UserError
from tests.conftest import make_sbd, make_voc

DATA = data_set("reproduce.data.VOCDataModule")
NAMES = ["2007_train000", "2007_train001", "2007_train002", "2007_train003"]
NAMES += ["2008_000001", "2008_000002", "2008_000003"]


def slow_trainaug(
    sbd_train: list[str], sbd_val: list[str], train: list[str], val: list[str]
) -> list[str]:
    """One id after another, by insertion into a sorted list."""
    found: list[str] = []
    for name in train + sbd_val + sbd_train:
        if name in val or name in found:
            continue
        place = 0
        while place < len(found) and found[place] < name:
            place += 1
        found.insert(place, name)
    return found


def test_set_operation_equals_the_slow_one() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        lists = [[f"{n:03d}" for n in rng.integers(0, 60, rng.integers(1, 40))] for _ in range(4)]
        assert trainaug_ids(*lists) == slow_trainaug(*lists)


def test_official_lists(shared_data: Path) -> None:
    """However SBD's 11,355 images are split, the result is the published list of 10,582."""
    train, val, trainval, expected = (
        (shared_data / "lists" / f"voc2012_{name}.txt").read_text().split()
        for name in ("train", "val", "trainval", "trainaug")
    )
    assert [len(n) for n in (train, val, trainval, expected)] == [1464, 1449, 2913, 10582]
    assert not set(train) & set(val)
    assert set(train) | set(val) == set(trainval)
    own = sorted(set(expected) - set(train))
    assert len(own) == 9118
    sbd = [*own, *train[:1133], *val[:1104]]  # SBD overlaps with both lists of VOC
    assert len(sbd) == 8498 + 2857
    found = trainaug_ids(sbd[::4], [n for i, n in enumerate(sbd) if i % 4], train, val)
    assert found == sorted(expected)
    assert DATA.official == {"train": 1464, "val": 1449, "trainaug": 10582}


def test_masks_and_images(sbd: Path) -> None:
    samples = {s.name: s for s in voc_samples(sbd, "trainaug")}
    assert list(samples) == NAMES
    for name, sample in samples.items():
        official = name.startswith("2007")
        mask = read_mask(sample.mask, VOC)
        assert sample.mask.suffix == (".png" if official else ".mat")
        assert sample.image.parent.name == ("JPEGImages" if official else "img")
        assert (255 in mask) == official
        if not official:
            assert np.array_equal(np.argwhere(mask == 20)[[0, -1]], [[0, 0], [4, 6]])
            assert (mask == 20).sum() == 35
            assert (mask == 0).sum() == 40 * 50 - 35


def test_images_of_voc_come_first(sbd: Path) -> None:
    copy = sbd / "VOC2012/JPEGImages/2008_000001.jpg"
    shutil.copy(sbd / "sbd/img/2008_000001.jpg", copy)
    images = [s.image for s in voc_samples(sbd, "trainaug")]
    assert copy in images
    assert sbd / "sbd/img/2008_000002.jpg" in images


@pytest.mark.parametrize("place", ["sbd", "benchmark_RELEASE/dataset"])
@pytest.mark.parametrize("devkit", [True, False])
@pytest.mark.parametrize("below", ["", "VOCdevkit", "VOCdevkit/VOC2012", "VOC2012"])
def test_where_sbd_is_found(tmp_path: Path, place: str, devkit: bool, below: str) -> None:
    """At the root or beside VOC, whichever of its folders is named."""
    if ("VOCdevkit" in below) > devkit or (below == "VOC2012" and devkit):
        pytest.skip("no such folder")
    make_voc(tmp_path / "VOCdevkit" if devkit else tmp_path)
    (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
    make_sbd(tmp_path / "new")
    (tmp_path / "new/sbd").rename(tmp_path / place)
    samples = voc_samples(tmp_path / below, "trainaug")
    assert [s.name for s in samples] == NAMES
    assert samples[-1].mask == tmp_path / place / "cls/2008_000003.mat"


def test_trainval(voc: Path) -> None:
    names = [s.name for split in ("train", "val") for s in voc_samples(voc, split)]
    (voc / "VOC2012/ImageSets/Segmentation/trainval.txt").write_text("\n".join(names))
    assert [s.name for s in voc_samples(voc, "trainval")] == names


def test_manifest_reads_both_kinds_of_masks(sbd: Path, tmp_path: Path) -> None:
    manifest = data_manifest(DATA, sbd, ("trainaug", "val"), tmp_path / "cache")
    masks = [read_mask(s.mask, VOC) for s in voc_samples(sbd, "trainaug")]
    valid = sum(int((m != 255).sum()) for m in masks)
    assert manifest["splits"]["trainaug"] == {"images": 7, "valid_pixels": valid}
    path = sbd / "sbd/cls/2008_000001.mat"
    path.write_bytes(path.read_bytes().replace(b"Platform", b"platform"))
    changed = data_manifest(DATA, sbd, ("trainaug", "val"), tmp_path / "cache")
    assert changed["digest"] != manifest["digest"]


def _write(path: Path, text: str) -> None:
    path.write_text(text)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (
            lambda root: shutil.rmtree(root / "sbd"),
            r"trainaug needs SBD, expected sbd .* neither: reproduce data prepare voc --data ",
        ),
        (lambda root: (root / "sbd/val.txt").unlink(), r"expected the list .*sbd/val.txt, found n"),
        (lambda root: _write(root / "sbd/train.txt", ""), r"sbd/train.txt is empty"),
        (
            lambda root: _write(root / "sbd/train.txt", "2008_000001\n" * 2),
            r"sbd/train.txt names 2008_000001 more than once",
        ),
        (lambda root: shutil.rmtree(root / "sbd/img"), r"3 of 7 images are missing, the first is"),
        (
            lambda root: (root / "sbd/cls/2008_000002.mat").unlink(),
            r"1 of 7 masks are missing, the first is .*2008_000002.mat",
        ),
    ],
)
def test_missing_parts(sbd: Path, spoil: object, message: str) -> None:
    spoil(sbd)  # type: ignore[operator]
    with pytest.raises(UserError, match=message) as caught:
        voc_samples(sbd, "trainaug")
    assert "\n" not in str(caught.value)
