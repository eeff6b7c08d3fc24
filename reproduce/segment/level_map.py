"""The level set function of a class as a picture, with its zero level line."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from reproduce.segment.drawing import Entry, display_size, resized, with_legend
from reproduce.segment.overlay import edges

#: Colours of phi = -0.5, 0 and 0.5.
OUTSIDE, ZERO, INSIDE = (33, 102, 172), (247, 247, 247), (178, 24, 43)

LINE = (0, 0, 0)

#: Lightness of the map where the picture is black.
DARKEST = 0.6


def phi_colours(phi: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Colours ``(H, W, 3)`` of values between -0.5 and 0.5."""
    steps = (-0.5, 0.0, 0.5)
    channels = [
        np.interp(phi, steps, [colour[i] for colour in (OUTSIDE, ZERO, INSIDE)]) for i in range(3)
    ]
    return np.stack(channels, -1).round().astype(np.uint8)


def level_colours(
    pixels: NDArray[np.uint8], phi: NDArray[np.floating[Any]], size: tuple[int, int]
) -> NDArray[np.uint8]:
    """Map of phi = P - 0.5, blue outside, red inside, with its zero level line.

    Hue is phi, and the picture shows faintly in the lightness.

    Args:
        pixels: RGB ``(H, W, 3)``.
        phi: ``(H, W)``.
        size: Height and width of the map.

    Returns:
        RGB at that size.
    """
    values = resized(phi.astype(np.float32), size, Image.Resampling.BILINEAR)
    grey = np.asarray(Image.fromarray(pixels).convert("L"))
    light = resized(grey, size, Image.Resampling.BILINEAR).astype(np.float32) / 255
    colours = (phi_colours(values) * (DARKEST + (1 - DARKEST) * light[..., None])).astype(np.uint8)
    colours[edges((values > 0).astype(np.uint8), max(2, max(size) // 350))] = LINE
    return colours


def level_map(pixels: NDArray[np.uint8], phi: NDArray[np.float16], name: str) -> Image.Image:
    """:func:`level_colours` with a legend.

    Args:
        pixels: RGB ``(H, W, 3)``.
        phi: ``(H, W)``.
        name: Name of the class.
    """
    colours = level_colours(pixels, phi, display_size(*phi.shape))
    share = 100 * float((phi > 0).mean())
    entries = [
        Entry(f"φ = P({name}) − ½, from −½ to ½", (OUTSIDE, ZERO, INSIDE)),
        Entry(f"φ = 0 (inside: {share:.1f} %)", (LINE,)),
    ]
    return with_legend(colours, entries)
