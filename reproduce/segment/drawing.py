"""Size, legend and saving of the pictures that people look at."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib as mpl
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from PIL.PngImagePlugin import PngInfo

from reproduce.segment.names import MARK

#: Longer side in pixels: smaller pictures are enlarged by a whole factor, larger ones reduced.
SMALLEST, LARGEST = 480, 4096

Colour = tuple[int, int, int]


class Entry(NamedTuple):
    """One of a legend's texts, and its colour, or colours from left to right."""

    text: str
    colours: tuple[Colour, ...]


def display_size(height: int, width: int) -> tuple[int, int]:
    """Height and width at which a picture is shown.

    Example:
        >>> display_size(96, 64), display_size(500, 375), display_size(8192, 1000)
        ((480, 320), (500, 375), (4096, 500))
    """
    longer = max(height, width)
    if longer > LARGEST:
        return max(height * LARGEST // longer, 1), max(width * LARGEST // longer, 1)
    factor = -(-SMALLEST // longer) if longer < SMALLEST else 1
    return height * factor, width * factor


def resized(array: NDArray[Any], size: tuple[int, int], how: Image.Resampling) -> NDArray[Any]:
    """An array ``(H, W)`` or ``(H, W, 3)`` at another height and width."""
    if array.shape[:2] == size:
        return array
    return np.asarray(Image.fromarray(array).resize(size[::-1], how))


@cache
def text_font(size: int) -> ImageFont.FreeTypeFont:
    """The font of matplotlib, which has Greek letters."""
    return ImageFont.truetype(Path(mpl.get_data_path(), "fonts/ttf/DejaVuSans.ttf"), size)


def gradient(colours: Sequence[Colour], size: tuple[int, int]) -> Image.Image:
    """A box of a width and height in one colour, or with colours from left to right."""
    steps = np.linspace(0, len(colours) - 1, size[0])
    row = [np.interp(steps, range(len(colours)), [c[i] for c in colours]) for i in range(3)]
    return Image.fromarray(np.stack(row, -1).round().astype(np.uint8)[None]).resize(size)


def with_legend(pixels: NDArray[np.uint8], entries: Sequence[Entry]) -> Image.Image:
    """A picture with a legend below, which covers none of it.

    Args:
        pixels: ``(H, W, 3)``.
        entries: From left to right, in as many lines as they need.
    """
    height, width = pixels.shape[:2]
    font = text_font(max(13, width // 64))
    _, top, _, bottom = font.getbbox("Ag")
    line = round((bottom - top) * 1.9)
    box, gap = round(line * 0.55), round(line * 0.5)
    boxes = [box * (1 if len(entry.colours) == 1 else 5) for entry in entries]
    lengths = [round(font.getlength(entry.text)) for entry in entries]
    widths = [a + b + 3 * gap for a, b in zip(boxes, lengths, strict=True)]
    across = max(width, *(w + gap for w in widths), 1)
    places, x, y = [], gap, gap // 2
    for w in widths:
        if x + w > across and x > gap:
            x, y = gap, y + line
        places.append((x, y))
        x += w
    canvas = Image.new("RGB", (across, height + y + line + gap // 2), "white")
    canvas.paste(Image.fromarray(pixels), (0, 0))
    draw = ImageDraw.Draw(canvas)
    for entry, wide, (x, y) in zip(entries, boxes, places, strict=True):
        upper = height + y + (line - box) // 2
        canvas.paste(gradient(entry.colours, (wide, box)), (x, upper))
        draw.rectangle((x, upper, x + wide, upper + box), None, (90, 90, 90))
        draw.text((x + wide + gap, height + y + line // 2), entry.text, "black", font, anchor="lm")
    return canvas


def save(image: Image.Image, path: Path) -> None:
    """Write a PNG or JPEG, marked as made here, as a whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    work = path.with_name(f".{path.name}.part")
    try:
        if path.suffix == ".png":
            info = PngInfo()
            info.add_text("Software", MARK)
            image.save(work, "PNG", pnginfo=info)
        else:
            image.save(work, "JPEG", quality=92, subsampling=0, comment=MARK)
        work.replace(path)
    finally:
        work.unlink(missing_ok=True)
