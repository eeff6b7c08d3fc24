"""PASCAL-Context: folders, classes by name, errors."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy.io import loadmat

from reproduce.data import Context59DataModule, ContextDataModule
from reproduce.data.catalog import data_set
from reproduce.data.context import context_ids, context_samples
from reproduce.data.images import read_mask
from reproduce.data.labels import CONTEXT, CONTEXT59, VOC
from reproduce.data.manifest import data_manifest
from reproduce.data.matlab import write_label_map
from reproduce.errors import UserError
from tests.conftest import make_context

DATA = data_set("reproduce.data.ContextDataModule")
DATA59 = data_set("reproduce.data.Context59DataModule")


def slow_masks(root: Path, name: str) -> np.ndarray:
    """As the FCN authors' layer does it: class after class by its name in the files."""
    lines = (root / "context/labels.txt").read_text().splitlines()
    numbers = {line.split(": ")[1].replace(" ", ""): int(line.split(": ")[0]) for line in lines}
    official = (root / "context/59_labels.txt").read_text().splitlines()
    raw = loadmat(root / "context/trainval" / f"{name}.mat")["LabelMap"]
    mask = np.zeros(raw.shape, int)
    for index, line in enumerate(official, 1):
        wanted = line.split(": ")[1]
        spelt = {"diningtable": "table", "bedcloth": "bedclothes", "clothes": "cloth"}
        mask[raw == numbers[spelt.get(wanted, wanted)]] = index
    return mask


def test_names_are_vocs_first() -> None:
    voc = [{"diningtable": "table"}.get(name, name) for name in VOC.names]
    assert list(CONTEXT.names[:21]) == voc
    assert len(CONTEXT.names) == 60
    assert len(set(CONTEXT59.names)) == 59
    assert list(CONTEXT59.names[20:]) != sorted(CONTEXT59.names[20:])  # the official order
    assert DATA.official == DATA59.official == {"train": 4998, "val": 5105}


def test_masks_equal_the_slow_ones(context: Path) -> None:
    seen: set[int] = set()
    for sample in context_samples(context, "train"):
        mask = read_mask(sample.mask, DATA.classes_at(context))
        slow = slow_masks(context, sample.name)
        assert np.array_equal(mask, slow)
        without = read_mask(sample.mask, DATA59.classes_at(context))
        assert np.array_equal(without, np.where(slow == 0, 255, slow - 1))
        seen |= {int(v) for v in np.unique(mask)}
    assert seen == set(range(60))


def test_modules(context: Path) -> None:
    for module, classes in ((ContextDataModule, 60), (Context59DataModule, 59)):
        data = module(context, batch_size=2, crop=32, seed=0)
        data.setup("fit")
        assert data.num_classes == classes
        found = {int(v) for batch in data.val_dataloader() for v in batch["mask"].unique()}
        assert found <= {*range(classes), *([255] if classes == 59 else [])}
        assert next(iter(data.train_dataloader()))["mask"].shape == (2, 32, 32)


def test_folders(context: Path) -> None:
    names = [s.name for s in context_samples(context, "val")]
    assert names == ["2008_val000", "2008_val001"]
    (context / "context").rename(context / "pascal-context")
    assert [s.name for s in context_samples(context, "val")] == names
    (context / "pascal-context").rename(context / "VOCdevkit/context")
    assert [s.name for s in context_samples(context, "val")] == names
    assert [s.name for s in context_samples(context / "VOCdevkit", "val")] == names
    for part in (context / "VOCdevkit/context").iterdir():
        part.rename(context / part.name)
    (context / "VOCdevkit/VOC2010").rename(context / "VOC2010")
    assert [s.name for s in context_samples(context, "val")] == names


def test_lists_may_have_more_columns(context: Path) -> None:
    (context / "VOCdevkit/VOC2010/ImageSets/Main/val.txt").write_text("2008_val001  -1\n")
    assert [s.name for s in context_samples(context, "val")] == ["2008_val001"]


def test_manifest(context: Path, tmp_path: Path) -> None:
    manifest = data_manifest(DATA, context, ("train", "val"), tmp_path / "cache")
    pixels = sum(
        read_mask(s.mask, DATA.classes_at(context)).size for s in context_samples(context, "val")
    )
    assert manifest["splits"]["val"] == {"images": 2, "valid_pixels": pixels}
    less = data_manifest(DATA59, context, ("train", "val"), tmp_path / "cache")
    valid = sum(
        int((slow_masks(context, s.name) > 0).sum()) for s in context_samples(context, "val")
    )
    assert less["splits"]["val"] == {"images": 2, "valid_pixels": valid}
    moved = make_context(tmp_path / "elsewhere")
    again = data_manifest(DATA, moved, ("train", "val"), tmp_path / "cache")
    assert again["digest"] == manifest["digest"]


def test_renumbered_labels_are_other_data(context: Path, tmp_path: Path) -> None:
    """The same bytes of masks mean something else: neither the cache nor the digest stays."""
    before = data_manifest(DATA, context, ("val",), tmp_path / "cache")
    path = context / "context/labels.txt"
    text = path.read_text()
    path.write_text(
        text.replace(": sky", ": x").replace(": snow", ": sky").replace(": x", ": snow")
    )
    assert data_manifest(DATA, context, ("val",), tmp_path / "cache")["digest"] != before["digest"]


def _edit(name: str, old: str, new: str) -> Callable[[Path], object]:
    def edit(root: Path) -> None:
        path = root / "context" / name
        assert old in path.read_text()
        path.write_text(path.read_text().replace(old, new))

    return edit


def _mask(labels: np.ndarray) -> Callable[[Path], object]:
    return lambda root: write_label_map(root / "context/trainval/2008_val000.mat", labels)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (
            shutil.rmtree,
            r"expected the images of PASCAL-Context .* found nothing: rep",
        ),
        (
            lambda r: shutil.rmtree(r / "VOCdevkit"),
            r"images of PASCAL-Context \(VOC2010/JPEGImages\) at .* found other files: reproduce d",
        ),
        (
            lambda r: shutil.rmtree(r / "context"),
            r"expected the labels of PASCAL-Context \(context/trainval\) at ",
        ),
        (
            lambda r: (r / "VOCdevkit/VOC2010/ImageSets/Main/val.txt").unlink(),
            r"expected the list .*Main/val.txt, found none: .* reproduce data prepare context",
        ),
        (
            lambda r: (r / "VOCdevkit/VOC2010/JPEGImages/2008_val000.jpg").unlink(),
            r"1 of 2 images are missing",
        ),
        (lambda r: (r / "context/trainval/2008_val001.mat").unlink(), r"1 of 2 masks are missing"),
        (lambda r: (r / "context/labels.txt").unlink(), r"expected the list .*context/labels.txt"),
        (lambda r: (r / "context/59_labels.txt").unlink(), r"expected the list .*59_labels.txt"),
        (
            _edit("labels.txt", "2: aeroplane", "aeroplane"),
            r"expected 'number: name' a line, found",
        ),
        (_edit("labels.txt", ": accordion", ": sky"), r"has '\d+: sky' and another line of that"),
        (_edit("labels.txt", ": sky", ": heaven"), r"labels.txt lacks sky, expected all 59 names"),
        (
            _edit("59_labels.txt", "2: bicycle\n3: bird", "2: bird\n3: bicycle"),
            r"59_labels.txt line 2: expected bicycle, found bird: reproduce data prepare context",
        ),
        (
            _edit("59_labels.txt", "59: wood\n", ""),
            r"59_labels.txt line 59: expected wood, found no more names",
        ),
        (
            _edit("59_labels.txt", "59: wood\n", "59: wood\n60: zebra\n"),
            r"59_labels.txt line 60: expected no more names, found zebra",
        ),
        (_mask(np.full((44, 60), 63)), r"000.mat holds labels \[63\], expected 0 to 62: is it a m"),
        (_mask(np.zeros((44, 59))), r"000.mat is 59x44, expected the size of its image, 60x44"),
        (
            lambda r: (r / "context/trainval/2008_val000.mat").write_bytes(b"MATLAB 5.0 MAT-file"),
            r"2008_val000.mat cannot be decoded",
        ),
    ],
)
def test_bad_data(
    context: Path, tmp_path: Path, spoil: Callable[[Path], object], message: str
) -> None:
    spoil(context)
    with pytest.raises(UserError, match=message) as caught:
        data_manifest(DATA, context, ("train", "val"), tmp_path / "cache")
    assert "\n" not in str(caught.value)


def test_void_in_words(context: Path, tmp_path: Path) -> None:
    _mask(np.full((44, 60), 300))(context)
    with pytest.raises(UserError, match=r"holds labels \[300\], expected 0 to 62: is it"):
        data_manifest(DATA59, context, ("val",), tmp_path / "cache")


def test_unlabelled_is_background_or_void(context: Path) -> None:
    assert context_ids(context, CONTEXT.names)[0] == 0
    assert context_ids(context, CONTEXT59.names)[0] == 255
