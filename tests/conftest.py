"""Shared fixtures: tiny data sets in the true layouts, made by the tests."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from reproduce.data.labels import voc_palette

os.environ["WANDB_MODE"] = "disabled"
torch.set_num_threads(2)

#: Real images, beside the repository where there are any.
SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


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


@pytest.fixture
def voc(tmp_path: Path) -> Path:
    return make_voc(tmp_path / "VOCdevkit")


@pytest.fixture
def camvid(tmp_path: Path) -> Path:
    return make_camvid(tmp_path / "camvid")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    if not SHARED_DATA.is_dir():
        pytest.skip(f"no real images at {SHARED_DATA}")
    return SHARED_DATA
