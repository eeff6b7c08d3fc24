"""Labels as a palette picture, and over the picture they belong to."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from reproduce.segment.drawing import Entry, display_size, resized, with_legend


def palette_picture(labels: NDArray[np.uint8], palette: Sequence[int]) -> Image.Image:
    """Labels ``(H, W)`` in mode P, as VOC's masks are."""
    image = Image.fromarray(labels)
    image.putpalette(palette)
    return image


def edges(labels: NDArray[np.uint8], width: int = 1) -> NDArray[np.bool_]:
    """Pixels whose right or lower neighbour has another label, widened to ``width``."""
    found = np.zeros(labels.shape, np.bool_)
    found[:, :-1] |= labels[:, :-1] != labels[:, 1:]
    found[:-1] |= labels[:-1] != labels[1:]
    wide = found.copy()
    for shift in range(1, width):
        wide[shift:] |= found[:-shift]
        wide[:, shift:] |= found[:, :-shift]
    return wide


def _share(pixels: int, total: int) -> str:
    percent = 100 * pixels / total
    return f"{percent:.0f} %" if percent >= 1 else "< 1 %"


def overlay(
    pixels: NDArray[np.uint8],
    labels: NDArray[np.uint8],
    names: Sequence[str],
    palette: Sequence[int],
) -> Image.Image:
    """Classes half transparent over a picture, with their contours and a legend.

    A class ``background`` is left as it is, its box is white. The legend has the classes that are
    present, the largest first.

    Args:
        pixels: RGB ``(H, W, 3)``.
        labels: ``(H, W)``.
        names: Names of the classes.
        palette: RGB colours, flat.
    """
    counts = np.bincount(labels.ravel(), minlength=len(names))
    size = display_size(*labels.shape)
    enlarged = size[0] > labels.shape[0]
    shown = resized(pixels, size, Image.Resampling.NEAREST if enlarged else Image.Resampling.BOX)
    labels = resized(labels, size, Image.Resampling.NEAREST)
    colours = np.array(palette, np.uint8).reshape(-1, 3)
    tinted = (shown // 2 + colours[labels] // 2).astype(np.uint8)
    plain = [i for i, name in enumerate(names) if name == "background"]
    tinted = np.where(np.isin(labels, plain)[..., None], shown, tinted)
    tinted[edges(labels, max(1, max(size) // 800))] = 255
    entries = []
    for i in np.argsort(-counts, kind="stable")[: np.count_nonzero(counts)].tolist():
        red, green, blue = (255, 255, 255) if i in plain else colours[i].tolist()
        text = f"{names[i]} {_share(int(counts[i]), int(counts.sum()))}"
        entries.append(Entry(text, ((red, green, blue),)))
    return with_legend(tinted, entries)
