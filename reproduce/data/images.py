"""Reading of images and masks, with errors that name the file."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from reproduce.data.labels import VOID, ClassSet
from reproduce.data.matlab import read_label_map
from reproduce.data.samples import Sample
from reproduce.errors import UserError

#: Marks labels that the data set does not know; no data set has so many classes.
UNKNOWN = 254


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


def _expected(classes: ClassSet) -> str:
    """The labels of a data set in words."""
    void = [label for label, index in classes.ids.items() if index == VOID]
    if len(void) == 1:
        return f"0 to {len(classes.names) - 1} or void ({void[0]})"
    return f"0 to {max(set(classes.ids) - {VOID})}" + " or 255" * (VOID in void)


def read_indices(path: Path) -> NDArray[np.uint8]:
    """Labels ``(H, W)`` of a palette or grey PNG, as the file numbers them.

    Raises:
        UserError: If the file cannot be decoded or is no map of indices.
    """
    labels = _open(path, None)
    if labels.ndim != 2 or labels.dtype != np.uint8:
        raise UserError(
            f"{path}: expected a palette or grey PNG of labels, found shape {labels.shape} of "
            f"{labels.dtype}: use the official masks, not coloured copies"
        )
    return labels


def read_mask(path: Path, classes: ClassSet) -> NDArray[np.uint8]:
    """Training ids ``(H, W)`` with void as 255, from a PNG of indices or a MATLAB file.

    Raises:
        UserError: If the file cannot be decoded, is no map of indices or holds unknown labels.
    """
    labels = read_label_map(path) if path.suffix == ".mat" else read_indices(path)
    table = np.full(np.iinfo(labels.dtype).max + 1, UNKNOWN, np.uint8)
    for label, index in classes.ids.items():
        if label < len(table):
            table[label] = index
    mask: NDArray[np.uint8] = table[labels]
    if (mask == UNKNOWN).any():
        unknown = np.unique(labels[mask == UNKNOWN]).tolist()
        raise UserError(
            f"{path} holds labels {unknown[:8]}, expected {_expected(classes)}: is it a mask of "
            "another data set?"
        )
    return mask


def read_pair(sample: Sample, classes: ClassSet) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Image ``(H, W, 3)`` and training ids ``(H, W)`` of a sample.

    Raises:
        UserError: As :func:`read_image` and :func:`read_mask`, or if the sizes differ.
    """
    image, mask = read_image(sample.image), read_mask(sample.mask, classes)
    if image.shape[:2] != mask.shape:
        raise UserError(
            f"{sample.mask} is {mask.shape[1]}x{mask.shape[0]}, expected the size of its "
            f"image, {image.shape[1]}x{image.shape[0]}: is it the mask of another image?"
        )
    return image, mask


def reduce_image(image: NDArray[np.uint8], factor: int) -> NDArray[np.uint8]:
    """Mean over boxes of ``factor`` by ``factor`` pixels; those at the edges may be smaller.

    Args:
        image: RGB ``(H, W, 3)``.
        factor: At least 1, which gives the image itself.

    Returns:
        ``(ceil(H / factor), ceil(W / factor), 3)``.
    """
    return np.asarray(Image.fromarray(image).reduce(factor)) if factor > 1 else image


def reduce_mask(mask: NDArray[np.uint8], factor: int) -> NDArray[np.uint8]:
    """Label at the centre of each box of :func:`reduce_image` (below and right of it if even).

    Args:
        mask: ``(H, W)``.
        factor: At least 1, which gives the mask itself.

    Returns:
        ``(ceil(H / factor), ceil(W / factor))``.
    """
    rows, columns = (
        np.minimum(np.arange(0, side, factor) + factor // 2, side - 1) for side in mask.shape
    )
    return mask[np.ix_(rows, columns)]
