"""Pictures small enough to embed."""

import base64
import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

#: Longest side of an embedded picture.
SIDE = 640


def _uri(image: Image.Image, kind: str, **options: Any) -> str:  # noqa: ANN401 - Pillow's options
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return f"data:image/{kind};base64," + base64.b64encode(stream.getvalue()).decode()


def label_uri(labels: NDArray[np.uint8], palette: Sequence[int], clear: Sequence[int]) -> str:
    """Labels as a palette PNG, some of them transparent."""
    image = Image.fromarray(labels)
    image.thumbnail((SIDE, SIDE), Image.Resampling.NEAREST)
    image.putpalette(palette)
    alpha = bytes(0 if index in clear else 255 for index in range(256))
    return _uri(image, "png", transparency=alpha, optimize=True)


def photo_uri(image: NDArray[np.uint8]) -> str:
    """An image as WebP."""
    picture = Image.fromarray(image)
    picture.thumbnail((SIDE, SIDE))
    return _uri(picture, "webp", quality=85)
