"""Generated data set for the demo: streets in the layout and with the label ids of Cityscapes."""

from pathlib import Path

import numpy as np
from PIL import Image

from reproduce.data import generated
from reproduce.data.cityscapes import IMAGE, MASK
from reproduce.data.generated import Generated
from reproduce.data.images import read_indices
from reproduce.data.street_scene import draw

#: Changed whenever the pictures change.
VERSION = "1"

COUNTS = {"train": 320, "val": 160}

#: Folder of each split.
CITIES = {"train": "hereford", "val": "wells"}


def masks_sha256(folder: Path) -> str:
    """SHA-256 of the labels of all masks, in order of their paths."""
    return generated.masks_sha256((folder / "gtFine").glob(f"*/*/*{MASK}"), read_indices)


def make_streets(root: Path) -> None:
    """Write the data set as ``root/cityscapes`` unless it is there; takes a few seconds.

    Args:
        root: Folder to make; see :func:`reproduce.data.generated.make`.

    Raises:
        UserError: If ``root`` holds something else, cannot be written, or was made by another
            version or changed.
    """
    generated.make(
        Generated("streets", VERSION, "cityscapes", _write_cityscapes_layout, masks_sha256), root
    )


def _write_cityscapes_layout(folder: Path) -> None:
    for number, (split, count) in enumerate(COUNTS.items()):
        city = CITIES[split]
        images, masks = (folder / part / split / city for part in ("leftImg8bit", "gtFine"))
        images.mkdir(parents=True)
        masks.mkdir(parents=True)
        for i in range(count):
            image, labels = draw(np.random.default_rng([number, i]))
            name = f"{city}_{i:06d}_000019"
            Image.fromarray(image).save(images / f"{name}{IMAGE}")
            Image.fromarray(labels).save(masks / f"{name}{MASK}")
