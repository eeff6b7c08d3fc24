"""Generated data set for the demo: textured shapes in the VOC folder layout.

Everything is drawn with integers and IEEE-exact operations (no trigonometry), so the pixels are
the same on every machine.
"""

import hashlib
import json
import os
import shutil
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from reproduce.data.labels import SHAPES, VOID, voc_palette
from reproduce.errors import UserError
from reproduce.files import read_json, write_atomically

#: Changed whenever the pictures change.
VERSION = "1"

SIZE = 96
COUNTS = {"train": 480, "val": 240}

#: Mean colour of each kind, close enough together for colour alone not to tell them apart.
COLOURS = np.array(
    [
        (110, 110, 110),
        (170, 90, 90),
        (90, 170, 90),
        (90, 90, 170),
        (160, 150, 80),
        (150, 80, 160),
        (80, 150, 160),
    ]
)


def _texture(rng: np.random.Generator, colour: NDArray[np.int64]) -> NDArray[np.int64]:
    """Noise at two scales around a colour, ``(SIZE, SIZE, 3)``."""
    coarse = rng.integers(-30, 31, (SIZE // 8, SIZE // 8, 1)).repeat(8, 0).repeat(8, 1)
    fine = rng.integers(-25, 26, (SIZE, SIZE, 1))
    texture: NDArray[np.int64] = colour + coarse + fine
    return texture


def _region(rng: np.random.Generator, kind: str) -> NDArray[np.bool_]:
    """Pixels of one randomly placed and rotated object."""
    centre = rng.uniform(0, SIZE, 2)
    # Half of the objects are small: a radius of 5 to 10 pixels; the others 12 to 26.
    radius = rng.uniform(5, 10) if rng.random() < 0.5 else rng.uniform(12, 26)
    t = rng.uniform(-1, 1)  # rotation by the rational points of the circle
    cosine, sine = (1 - t * t) / (1 + t * t), 2 * t / (1 + t * t)
    y, x = np.mgrid[:SIZE, :SIZE] + 0.5
    y, x = y - centre[0], x - centre[1]
    u, v = (x * cosine + y * sine) / radius, (y * cosine - x * sine) / radius
    if kind == "disk":
        return np.asarray(u * u + v * v <= 1)
    if kind == "square":
        return np.asarray(np.maximum(abs(u), abs(v)) <= 0.85)
    if kind == "triangle":
        return np.asarray((v <= 0.7) & (v >= 2 * abs(u) - 1))
    if kind == "ring":
        return np.asarray((u * u + v * v <= 1) & (u * u + v * v >= 0.36))
    if kind == "cross":
        return np.asarray((np.minimum(abs(u), abs(v)) <= 0.3) & (np.maximum(abs(u), abs(v)) <= 1))
    width = max(1.5 / radius, 0.1)  # a stick is at least 3 pixels wide
    return np.asarray((abs(v) <= width) & (abs(u) <= 1.6))


def _outer_border(region: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Pixels outside ``region`` that touch it by a side."""
    grown = region.copy()
    grown[1:] |= region[:-1]
    grown[:-1] |= region[1:]
    grown[:, 1:] |= region[:, :-1]
    grown[:, :-1] |= region[:, 1:]
    return grown & ~region


def draw(rng: np.random.Generator) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """One scene: 5 to 10 overlapping objects, each with a void border one pixel wide.

    Args:
        rng: Source of randomness; equal states give equal scenes.

    Returns:
        RGB image ``(96, 96, 3)`` and labels ``(96, 96)``, void as 255.
    """
    image = _texture(rng, COLOURS[0] + rng.integers(-30, 31, 3))
    mask = np.zeros((SIZE, SIZE), np.uint8)
    for _ in range(rng.integers(5, 11)):
        label = int(rng.integers(1, len(SHAPES.names)))
        region = _region(rng, SHAPES.names[label])
        texture = _texture(rng, COLOURS[label] + rng.integers(-30, 31, 3))
        image[region] = texture[region]
        mask[_outer_border(region)] = VOID
        mask[region] = label
    return np.clip(image, 0, 255).astype(np.uint8), mask


def masks_sha256(voc: Path) -> str:
    """SHA-256 of the labels of all masks, in order of their names; no encoder has a part in it."""
    digest = hashlib.sha256()
    for path in sorted((voc / "SegmentationClass").glob("*.png")):
        with Image.open(path) as file:
            digest.update(path.name.encode() + np.asarray(file).tobytes())
    return digest.hexdigest()


def make_shapes(root: Path) -> None:
    """Write the data set as ``root/VOC2012`` unless it is there; takes a few seconds.

    The folder appears whole or not at all. One that was made earlier is checked by its hash, and
    any other data in the VOC layout is left alone.

    Args:
        root: Folder to make.

    Raises:
        UserError: If ``root`` holds something else, cannot be written, or was made by another
            version or changed.
    """
    marker = root / "shapes.json"
    if (root / "VOC2012").is_dir():
        if marker.exists() and read_json(marker) != _marker(root / "VOC2012"):
            raise UserError(
                f"{root} was changed, or made by another version: remove it, and it is made again"
            )
        return
    if root.is_dir() and any(p != marker for p in root.iterdir()):
        raise UserError(
            f"expected generated shapes or an empty folder at {root}, found other files: leave "
            "DATA unset for the demo, or name a new folder"
        )
    work = root.with_name(f".{root.name}.{os.getpid()}")
    try:
        _write_voc_layout(work / "VOC2012")
        root.mkdir(parents=True, exist_ok=True)
        write_atomically(marker, json.dumps(_marker(work / "VOC2012")) + "\n")
        (work / "VOC2012").rename(root / "VOC2012")
    except OSError as error:
        raise UserError(f"{root} cannot be made ({error}): name another folder") from None
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _marker(voc: Path) -> dict[str, str]:
    return {"version": VERSION, "masks_sha256": masks_sha256(voc)}


def _write_voc_layout(voc: Path) -> None:
    for folder in ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation"):
        (voc / folder).mkdir(parents=True)
    for number, (split, count) in enumerate(COUNTS.items()):
        names = [f"{split}_{i:04d}" for i in range(count)]
        for i, name in enumerate(names):
            image, mask = draw(np.random.default_rng([number, i]))
            Image.fromarray(image).save(voc / "JPEGImages" / f"{name}.jpg", quality=95)
            labels = Image.fromarray(mask)
            labels.putpalette(voc_palette())
            labels.save(voc / "SegmentationClass" / f"{name}.png")
        (voc / "ImageSets" / "Segmentation" / f"{split}.txt").write_text("\n".join(names) + "\n")
