"""Generated data set for the demo: textured shapes in the VOC folder layout.

Everything is drawn with integers and IEEE-exact operations (no trigonometry), so the pixels are
the same on every machine.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from reproduce.data import generated
from reproduce.data.generated import Generated
from reproduce.data.images import read_indices
from reproduce.data.labels import SHAPES, VOID, voc_palette

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


def draw_texture(rng: np.random.Generator, colour: NDArray[np.int64]) -> NDArray[np.int64]:
    """Noise at two scales around a colour, ``(SIZE, SIZE, 3)``."""
    coarse = rng.integers(-30, 31, (SIZE // 8, SIZE // 8, 1)).repeat(8, 0).repeat(8, 1)
    fine = rng.integers(-25, 26, (SIZE, SIZE, 1))
    texture: NDArray[np.int64] = colour + coarse + fine
    return texture


def _place(
    rng: np.random.Generator,
) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
    """Random place, size and rotation of an object.

    Returns:
        Coordinates ``u`` and ``v`` of each pixel ``(SIZE, SIZE)``, in radii from the object's
        centre along its own axes, and its radius in pixels.
    """
    centre = rng.uniform(0, SIZE, 2)
    # Half of the objects are small: a radius of 5 to 10 pixels; the others 12 to 26.
    radius = rng.uniform(5, 10) if rng.random() < 0.5 else rng.uniform(12, 26)
    t = rng.uniform(-1, 1)  # rotation by the rational points of the circle
    cosine, sine = (1 - t * t) / (1 + t * t), 2 * t / (1 + t * t)
    y, x = np.mgrid[:SIZE, :SIZE] + 0.5
    y, x = y - centre[0], x - centre[1]
    return (x * cosine + y * sine) / radius, (y * cosine - x * sine) / radius, radius


def draw_region(rng: np.random.Generator, kind: str) -> NDArray[np.bool_]:
    """Pixels ``(SIZE, SIZE)`` of one randomly placed and rotated object.

    Args:
        rng: Source of randomness.
        kind: ``disk``, ``square``, ``triangle``, ``ring``, ``cross``, ``frame`` or ``stick``.
    """
    u, v, radius = _place(rng)
    if kind == "disk":
        return np.asarray(u * u + v * v <= 1)
    if kind in {"square", "frame"}:
        side = np.maximum(abs(u), abs(v))
        return np.asarray((side <= 0.85) & ((side >= 0.5) | (kind == "square")))
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
    image = draw_texture(rng, COLOURS[0] + rng.integers(-30, 31, 3))
    mask = np.zeros((SIZE, SIZE), np.uint8)
    for _ in range(rng.integers(5, 11)):
        label = int(rng.integers(1, len(SHAPES.names)))
        region = draw_region(rng, SHAPES.names[label])
        texture = draw_texture(rng, COLOURS[label] + rng.integers(-30, 31, 3))
        image[region] = texture[region]
        mask[_outer_border(region)] = VOID
        mask[region] = label
    return np.clip(image, 0, 255).astype(np.uint8), mask


def masks_sha256(voc: Path) -> str:
    """SHA-256 of the labels of all masks, in order of their names; no encoder has a part in it."""
    return generated.masks_sha256((voc / "SegmentationClass").glob("*.png"), read_indices)


def make_shapes(root: Path) -> None:
    """Write the data set as ``root/VOC2012`` unless it is there; takes a few seconds.

    Args:
        root: Folder to make; see :func:`reproduce.data.generated.make`.

    Raises:
        UserError: If ``root`` holds something else, cannot be written, or was made by another
            version or changed.
    """
    generated.make(Generated("shapes", VERSION, "VOC2012", _write_voc_layout, masks_sha256), root)


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
