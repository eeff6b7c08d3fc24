"""Reading of images and masks, with errors that name the file."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from reproduce.data.labels import VOID, ClassSet
from reproduce.errors import UserError


def _open(path: Path, mode: str | None) -> NDArray[np.uint8]:
    try:
        with Image.open(path) as file:
            return np.asarray(file.convert(mode) if mode else file)
    except (OSError, UnidentifiedImageError, ValueError, SyntaxError) as error:
        reason = str(error).replace(str(path), "").strip() or type(error).__name__
        raise UserError(f"{path} cannot be decoded ({reason}): fetch that file again") from None


def read_image(path: Path) -> NDArray[np.uint8]:
    """RGB image ``(H, W, 3)``.

    Raises:
        UserError: If the file cannot be decoded, truncated files included.
    """
    return _open(path, "RGB")


def read_mask(path: Path, classes: ClassSet) -> NDArray[np.uint8]:
    """Training ids ``(H, W)`` with void as 255, from the indices of a palette or grey PNG.

    Raises:
        UserError: If the file cannot be decoded, is no map of indices or holds unknown labels.
    """
    labels = _open(path, None)
    if labels.ndim != 2 or labels.dtype != np.uint8:
        raise UserError(
            f"{path}: expected a palette or grey PNG of labels, found shape {labels.shape} of "
            f"{labels.dtype}: use the official masks, not coloured copies"
        )
    table = np.full(256, 254, np.uint8)
    table[list(classes.ids)] = list(classes.ids.values())
    mask = table[labels]
    if (mask == 254).any():
        unknown = sorted({int(v) for v in labels[mask == 254]})
        raise UserError(
            f"{path} holds labels {unknown}, expected 0 to {len(classes.names) - 1} or void "
            f"({next(k for k, v in classes.ids.items() if v == VOID)}): is it a mask of another "
            "data set?"
        )
    return mask
