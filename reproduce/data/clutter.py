"""Generated data set for the demo in the layout of PASCAL-Context: every pixel has a class.

Surfaces (sky, grass, water, wall, floor) differ in texture and place, objects in shape; mosaic
debris and plain surfaces between them are background, a class like any other. Drawn with
IEEE-exact operations alone, as :mod:`reproduce.data.shapes`.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from reproduce.data import generated
from reproduce.data.generated import Generated
from reproduce.data.labels import CLUTTER
from reproduce.data.matlab import read_label_map, write_label_map
from reproduce.data.shapes import SIZE, draw_region, draw_texture

#: Changed whenever the pictures change.
VERSION = "1"

COUNTS = {"train": 320, "val": 160}

OBJECTS = CLUTTER.names[1:8]
UPPER, LOWER = ("sky", "wall", "background"), ("grass", "water", "floor", "background")

#: ``labels.txt``: classes and two more names, numbered by the alphabet as the official ones.
NUMBERS = {
    name: number for number, name in enumerate(sorted((*CLUTTER.names[1:], "debris", "unknown")), 1)
}

#: Mean colours, close enough together for colour alone not to tell the classes apart.
COLOURS = {
    "disk": (160, 100, 100),
    "square": (100, 155, 105),
    "triangle": (105, 100, 165),
    "ring": (150, 140, 95),
    "cross": (145, 95, 150),
    "stick": (95, 145, 150),
    "frame": (150, 120, 120),
    "sky": (120, 140, 160),
    "grass": (105, 135, 95),
    "water": (100, 125, 150),
    "wall": (145, 115, 105),
    "floor": (135, 125, 110),
    "background": (120, 120, 120),
}


def _surface(rng: np.random.Generator, kind: str) -> NDArray[np.int64]:
    """A texture ``(SIZE, SIZE, 3)`` that tells a kind of surface."""
    y, x = np.mgrid[:SIZE, :SIZE]
    y, x = y + rng.integers(16), x + rng.integers(16)
    colour = np.array(COLOURS[kind]) + rng.integers(-30, 31, 3)
    if kind == "background":
        return draw_texture(rng, colour)
    if kind == "sky":  # smooth, brighter towards the bottom
        pattern = y // 2 - SIZE // 4
    elif kind == "grass":  # short vertical strokes
        pattern = rng.integers(-40, 41, (SIZE // 6, SIZE)).repeat(6, 0)
    elif kind == "water":  # short horizontal strokes
        pattern = rng.integers(-40, 41, (SIZE, SIZE // 6)).repeat(6, 1)
    elif kind == "wall":  # bricks
        pattern = np.where((y % 8 == 0) | ((x + y // 8 % 2 * 8) % 16 == 0), -50, 10)
    else:  # tiles
        pattern = np.where((y // 8 + x // 8) % 2 == 0, -25, 25)
    fine = rng.integers(-10, 11, (SIZE, SIZE))
    surface: NDArray[np.int64] = colour + (pattern + fine)[..., None]
    return surface


def _surfaces(rng: np.random.Generator) -> list[tuple[str, NDArray[np.bool_]]]:
    """Two or three surfaces that cover the picture: above and below a horizon, and a corner."""
    y, x = np.mgrid[:SIZE, :SIZE]
    horizon = rng.integers(SIZE // 4, 3 * SIZE // 4) + (x - SIZE // 2) * rng.integers(-2, 3) // 8
    upper, lower = UPPER[rng.integers(len(UPPER))], LOWER[rng.integers(len(LOWER))]
    found = [(upper, y < horizon), (lower, y >= horizon)]
    if rng.random() < 0.6:
        kinds = UPPER + LOWER
        steep = x * 4 + y * rng.integers(-3, 4) < rng.integers(SIZE, 3 * SIZE)
        found.append((kinds[rng.integers(len(kinds))], steep & (y >= horizon)))
    return found


def draw(rng: np.random.Generator) -> tuple[NDArray[np.uint8], NDArray[np.uint16]]:
    """One scene: surfaces, 3 to 6 patches of debris, 4 to 8 objects.

    Args:
        rng: Source of randomness; equal states give equal scenes.

    Returns:
        RGB image ``(96, 96, 3)`` and labels ``(96, 96)`` as :data:`NUMBERS` has them.
    """
    image = np.zeros((SIZE, SIZE, 3), np.int64)
    labels = np.zeros((SIZE, SIZE), np.uint16)
    for kind, region in _surfaces(rng):
        image[region] = _surface(rng, kind)[region]
        labels[region] = NUMBERS.get(kind, NUMBERS["unknown"])
    for _ in range(rng.integers(3, 7)):
        region = draw_region(rng, "disk")
        tints = rng.integers(-60, 61, (SIZE // 3, SIZE // 3, 3)).repeat(3, 0).repeat(3, 1)
        image[region] = (np.array(COLOURS["background"]) + tints)[region]
        labels[region] = NUMBERS["debris"]
    for _ in range(rng.integers(4, 9)):
        kind = OBJECTS[rng.integers(len(OBJECTS))]
        region = draw_region(rng, kind)
        image[region] = draw_texture(rng, COLOURS[kind] + rng.integers(-35, 36, 3))[region]
        labels[region] = NUMBERS[kind]
    return np.clip(image, 0, 255).astype(np.uint8), labels


def masks_sha256(folder: Path) -> str:
    """SHA-256 of the labels of all masks, in order of their names."""
    return generated.masks_sha256((folder / "context" / "trainval").glob("*.mat"), read_label_map)


def make_clutter(root: Path) -> None:
    """Write the data set as ``root/VOCdevkit`` unless it is there; takes a few seconds.

    Args:
        root: Folder to make; see :func:`reproduce.data.generated.make`.

    Raises:
        UserError: If ``root`` holds something else, cannot be written, or was made by another
            version or changed.
    """
    generated.make(
        Generated("clutter", VERSION, "VOCdevkit", _write_context_layout, masks_sha256), root
    )


def _write_context_layout(folder: Path) -> None:
    images, labels = folder / "VOC2010" / "JPEGImages", folder / "context" / "trainval"
    lists = folder / "VOC2010" / "ImageSets" / "Main"
    for place in (images, labels, lists):
        place.mkdir(parents=True)
    for number, (split, count) in enumerate(COUNTS.items()):
        names = [f"{split}_{i:04d}" for i in range(count)]
        for i, name in enumerate(names):
            image, mask = draw(np.random.default_rng([number, i]))
            Image.fromarray(image).save(images / f"{name}.jpg", quality=95)
            write_label_map(labels / f"{name}.mat", mask)
        (lists / f"{split}.txt").write_text("\n".join(names) + "\n")
    numbered = "".join(f"{number}: {name}\n" for name, number in NUMBERS.items())
    (labels.parent / "labels.txt").write_text(numbered)
    chosen = "".join(f"{i}: {name}\n" for i, name in enumerate(CLUTTER.names[1:], 1))
    (labels.parent / "59_labels.txt").write_text(chosen)
