"""A sheet of small pictures and words, written as SVG and as PNG alike.

Pictures keep their own pixels in the SVG, as PNG with a palette, so that both files are small;
equal sheets give equal files.
"""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from reproduce.segment.drawing import Colour, text_font
from reproduce.tables.figures import png_bytes

#: Colours that a photograph is reduced to: what is lost is hardly seen at this size.
COLOURS = 48

#: White around everything, in pixels.
MARGIN = 8

FONT = "DejaVu Sans, Verdana, sans-serif"
FRAME: Colour = (119, 119, 119)

Anchor = Literal["start", "middle", "end"]
_PILLOW_ANCHORS = {"start": "ls", "middle": "ms", "end": "rs"}


def photo(pixels: NDArray[np.uint8]) -> Image.Image:
    """RGB ``(H, W, 3)`` with few colours."""
    return Image.fromarray(pixels).quantize(COLOURS)


def labelled(labels: NDArray[np.uint8], palette: Sequence[int]) -> Image.Image:
    """Labels ``(H, W)`` in the colours of their data set, only those that occur."""
    found, places = np.unique(labels, return_inverse=True)
    image = Image.fromarray(places.reshape(labels.shape).astype(np.uint8))
    colours = np.reshape(np.asarray(palette, np.uint8), (-1, 3))[found]
    image.putpalette(colours.tobytes())
    return image


def text_width(text: str, size: int) -> int:
    """Pixels that a text takes."""
    return round(text_font(size).getlength(text))


def _hex(colour: Colour) -> str:
    return f"#{bytes(colour).hex()}"


@dataclass(frozen=True)
class _Picture:
    """A picture, enlarged without smoothing."""

    x: int
    y: int
    width: int
    height: int
    image: Image.Image

    def svg(self) -> str:
        uri = "data:image/png;base64," + base64.b64encode(png_bytes(self.image)).decode()
        return (
            f'<image x="{self.x}" y="{self.y}" width="{self.width}" height="{self.height}" '
            f'preserveAspectRatio="none" style="image-rendering:pixelated" href="{uri}"/>'
        )

    def paint(self, canvas: Image.Image) -> None:
        size = (self.width, self.height)
        pixels = self.image.convert("RGB").resize(size, Image.Resampling.NEAREST)
        canvas.paste(pixels, (self.x + MARGIN, self.y + MARGIN))


@dataclass(frozen=True)
class _Words:
    """A line of text."""

    x: int
    y: int
    text: str
    size: int
    anchor: Anchor
    colour: Colour

    def svg(self) -> str:
        return (
            f'<text x="{self.x}" y="{self.y}" font-size="{self.size}" fill="{_hex(self.colour)}" '
            f'text-anchor="{self.anchor}">{escape(self.text)}</text>'
        )

    def paint(self, canvas: Image.Image) -> None:
        place, anchor = (self.x + MARGIN, self.y + MARGIN), _PILLOW_ANCHORS[self.anchor]
        font = text_font(self.size)
        ImageDraw.Draw(canvas).text(place, self.text, self.colour, font, anchor=anchor)


@dataclass(frozen=True)
class _Box:
    """A box in one colour."""

    x: int
    y: int
    width: int
    height: int
    colour: Colour

    def svg(self) -> str:
        return (
            f'<rect x="{self.x}" y="{self.y}" width="{self.width}" height="{self.height}" '
            f'fill="{_hex(self.colour)}" stroke="{_hex(FRAME)}" stroke-width=".6"/>'
        )

    def paint(self, canvas: Image.Image) -> None:
        x, y = self.x + MARGIN, self.y + MARGIN
        corners = (x, y, x + self.width, y + self.height)
        ImageDraw.Draw(canvas).rectangle(corners, self.colour, FRAME)


class Sheet:
    """Things at places on white; places are in pixels from the inner side of the margin.

    Args:
        width: Pixels without the margin; ``height`` is set when all is placed.
    """

    def __init__(self, width: int) -> None:
        self.width = width
        self.height = 0
        self._items: list[_Picture | _Words | _Box] = []

    def picture(self, x: int, y: int, size: tuple[int, int], image: Image.Image) -> None:
        """A picture, enlarged to a height and width without smoothing."""
        self._items.append(_Picture(x, y, size[1], size[0], image))

    def words(
        self,
        x: int,
        y: int,
        text: str,
        *,
        size: int = 13,
        anchor: Anchor = "start",
        colour: Colour = (0, 0, 0),
    ) -> None:
        """A line of text whose base line is at ``y``."""
        self._items.append(_Words(x, y, text, size, anchor, colour))

    def paragraph(self, y: int, text: str, *, size: int = 11, colour: Colour = (0, 0, 0)) -> int:
        """Text in as many lines as it needs.

        Returns:
            Its lower end.
        """
        line = ""
        for word in text.split():
            if line and text_width(f"{line} {word}", size) > self.width:
                self.words(0, y + size, line, size=size, colour=colour)
                line, y = "", y + size + 4
            line = f"{line} {word}".strip()
        self.words(0, y + size, line, size=size, colour=colour)
        return y + size + 4

    def legend(
        self, y: int, entries: Sequence[tuple[str, Sequence[Colour]]], *, size: int = 12
    ) -> int:
        """Boxes in a colour, or several side by side, with their texts, in lines as needed.

        Returns:
            Its lower end.
        """
        x = 0
        for text, colours in entries:
            needed = size * len(colours) + 6 + text_width(text, size)
            if x and x + needed > self.width:
                x, y = 0, y + size + 8
            for place, colour in enumerate(colours):
                self._items.append(_Box(x + place * size, y, size, size, colour))
            self.words(x + size * len(colours) + 6, y + size - 1, text, size=size)
            x += needed + 18
        return y + size + 8

    def svg(self) -> str:
        """The sheet as SVG."""
        width, height = self.width + 2 * MARGIN, self.height + 2 * MARGIN
        box = f"{-MARGIN} {-MARGIN} {width} {height}"
        space = 'xmlns="http://www.w3.org/2000/svg"'
        lines = (
            f'<svg {space} width="{width}" height="{height}" viewBox="{box}" font-family="{FONT}">',
            f'<rect x="{-MARGIN}" y="{-MARGIN}" width="{width}" height="{height}" fill="#fff"/>',
            *(item.svg() for item in self._items),
            "</svg>",
        )
        return "\n".join(lines) + "\n"

    def png(self) -> Image.Image:
        """The sheet as a picture with a palette."""
        size = (self.width + 2 * MARGIN, self.height + 2 * MARGIN)
        canvas = Image.new("RGB", size, "white")
        for item in self._items:
            item.paint(canvas)
        return canvas.quantize(256)
