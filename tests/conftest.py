"""Shared fixtures: tiny data sets in the true layouts, made by the tests."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.io import savemat

from reproduce.data.labels import CONTEXT59, voc_palette
from reproduce.data.matlab import write_label_map

os.environ["WANDB_MODE"] = "disabled"
torch.set_num_threads(1)  # as `one_thread`, for what is made before the first test
os.environ["OMP_NUM_THREADS"] = "1"  # of the programs that tests start

#: Real images, beside the repository where there are any.
SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Pytest's workers share the cores: more threads wait for each other, three times as long."""
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def tables_as_committed() -> None:
    """Skip where somebody has made tables anew: pages drawn from them follow by commands."""
    root = Path(__file__).resolve().parents[1]
    command = ["git", "status", "--porcelain", "--", "tables"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    if done.returncode == 0 and done.stdout.strip():
        pytest.skip("tables are newer than the commit: make claims figures writes what follows")


def write_mask(path: Path, labels: np.ndarray) -> None:
    """Palette PNG of labels."""
    image = Image.fromarray(labels.astype(np.uint8))
    image.putpalette(voc_palette())
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)


def write_image(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels.astype(np.uint8)).save(path, quality=95)


def make_voc(root: Path, train: int = 4, val: int = 2, classes: int = 21) -> Path:
    """VOC layout with images of several sizes, objects and void borders."""
    rng = np.random.default_rng(0)
    voc = root / "VOC2012"
    for split, count in (("train", train), ("val", val)):
        names = [f"2007_{split}{i:03d}" for i in range(count)]
        for i, name in enumerate(names):
            height, width = 48 + 4 * i, 60 - 2 * i
            labels = np.zeros((height, width), np.uint8)
            labels[8:30, 10:40] = 255
            labels[10:28, 12:38] = 1 + i % (classes - 1)
            pixels = rng.integers(0, 256, (height, width, 3))
            pixels[10:28, 12:38] //= 2
            write_image(voc / "JPEGImages" / f"{name}.jpg", pixels)
            write_mask(voc / "SegmentationClass" / f"{name}.png", labels)
        lists = voc / "ImageSets" / "Segmentation"
        lists.mkdir(parents=True, exist_ok=True)
        (lists / f"{split}.txt").write_text("\n".join(names) + "\n")
    return root


def make_camvid(root: Path) -> Path:
    """CamVid layout: two-column lists, grey masks with 11 as void."""
    rng = np.random.default_rng(1)
    for split in ("train", "val", "test"):
        lines = []
        for i in range(3):
            image, mask = f"{split}/{i:04d}.jpg", f"{split}annot/{i:04d}.png"
            write_image(root / image, rng.integers(0, 256, (36, 48, 3)))
            (root / mask).parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(rng.integers(0, 12, (36, 48)).astype(np.uint8)).save(root / mask)
            lines.append(f"{image} {mask}")
        (root / f"{split}.txt").write_text("\n".join(lines) + "\n")
    return root


def write_sbd_mask(path: Path, labels: np.ndarray) -> None:
    """SBD's MATLAB file: a struct ``GTcls`` with more fields than the labels."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fields = {
        "Boundaries": np.zeros((20, 1), object),
        "Segmentation": labels.astype(np.uint8),
        "CategoriesPresent": np.unique(labels).astype(np.uint8),
    }
    savemat(path, {"GTcls": fields}, do_compression=True)


def make_sbd(root: Path, images: bool = True) -> Path:
    """SBD in ``root/sbd``, beside :func:`make_voc`.

    Its lists share two images with VOC's train and one with VOC's val; three are SBD's own, of
    which VOC has no copy, so that ``images`` decides whether they can be found. Each mask shows
    class 20 in a corner.
    """
    rng = np.random.default_rng(2)
    sbd = root / "sbd"
    lists = {
        "train": ["2008_000003", "2007_train001", "2007_val000", "2008_000001"],
        "val": ["2007_train002", "2008_000002"],
    }
    for split, names in lists.items():
        for name in names:
            labels = np.zeros((40, 50), np.uint8)
            labels[:5, :7] = 20
            write_sbd_mask(sbd / "cls" / f"{name}.mat", labels)
            if images:
                write_image(sbd / "img" / f"{name}.jpg", rng.integers(0, 256, (40, 50, 3)))
        (sbd / f"{split}.txt").write_text("\n".join(names) + "\n")
    return root


def make_context(
    root: Path, train: int = 4, val: int = 2, classes: tuple[str, ...] = CONTEXT59.names
) -> Path:
    """PASCAL-Context: VOC 2010 in ``root/VOCdevkit``, the labels in ``root/context``.

    ``labels.txt`` numbers the classes and three more names by the alphabet; ``59_labels.txt``
    spells three of them as the official one does. Each mask has unlabelled pixels, classes and
    labels that are none.
    """
    rng = np.random.default_rng(3)
    voc, context = root / "VOCdevkit" / "VOC2010", root / "context"
    names = sorted({*classes, "accordion", "unknown", "zebra crossing"})
    old = {"table": "diningtable", "bedclothes": "bedcloth", "cloth": "clothes"}
    (context / "trainval").mkdir(parents=True, exist_ok=True)
    (context / "labels.txt").write_text("".join(f"{i}: {n}\n" for i, n in enumerate(names, 1)))
    chosen = "".join(f"{i}: {old.get(n, n)}\n" for i, n in enumerate(classes, 1))
    (context / "59_labels.txt").write_text(chosen)
    lists = voc / "ImageSets" / "Main"
    lists.mkdir(parents=True, exist_ok=True)
    for split, count in (("train", train), ("val", val)):
        ids = [f"2008_{split}{i:03d}" for i in range(count)]
        for i, name in enumerate(ids):
            height, width = 44 + 4 * i, 60 - 2 * i
            labels = rng.integers(0, len(names) + 1, (height // 4, width)).repeat(4, 0)
            write_image(
                voc / "JPEGImages" / f"{name}.jpg", rng.integers(0, 256, (height, width, 3))
            )
            write_label_map(context / "trainval" / f"{name}.mat", labels.astype(np.uint16))
        (lists / f"{split}.txt").write_text("\n".join(ids) + "\n")
    return root


def make_cityscapes(
    root: Path, train: int = 4, val: int = 2, size: tuple[int, int] = (48, 96)
) -> Path:
    """Cityscapes in ``root/cityscapes``: two cities a split, label ids 0 to 33 and 255."""
    rng = np.random.default_rng(4)
    for split, count in (("train", train), ("val", val)):
        for i in range(count):
            city = f"{split}{'ab'[i % 2]}"
            stem = f"{city}_{i:06d}_000019"
            image = root / "cityscapes/leftImg8bit" / split / city / f"{stem}_leftImg8bit.png"
            mask = root / "cityscapes/gtFine" / split / city / f"{stem}_gtFine_labelIds.png"
            write_image(image, rng.integers(0, 256, (*size, 3)))
            labels = rng.integers(0, 35, (size[0] // 2, size[1])).repeat(2, 0)
            mask.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.where(labels == 34, 255, labels).astype(np.uint8)).save(mask)
    return root


@pytest.fixture
def voc(tmp_path: Path) -> Path:
    return make_voc(tmp_path / "VOCdevkit")


@pytest.fixture
def camvid(tmp_path: Path) -> Path:
    return make_camvid(tmp_path / "camvid")


@pytest.fixture
def sbd(voc: Path) -> Path:
    """VOC with SBD beside it."""
    return make_sbd(voc)


@pytest.fixture
def context(tmp_path: Path) -> Path:
    return make_context(tmp_path / "data")


@pytest.fixture
def cityscapes(tmp_path: Path) -> Path:
    return make_cityscapes(tmp_path / "data")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    if not SHARED_DATA.is_dir():
        pytest.skip(f"no real images at {SHARED_DATA}")
    return SHARED_DATA
