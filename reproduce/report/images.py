"""Which images are shown, and pictures of them small enough to embed."""

import base64
import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from reproduce.data.labels import VOID

Labels = NDArray[np.uint8]

#: Longest side of an embedded picture.
SIDE = 640


def choose(base: Mapping[str, float], ours: Mapping[str, float]) -> list[tuple[str, str]]:
    """Rule and name of the images to show: by gain in IoU, ties by name."""
    names = [n for n in base if n in ours and np.isfinite(base[n]) and np.isfinite(ours[n])]
    ranked = sorted(names, key=lambda name: (base[name] - ours[name], name))
    if not ranked:
        return []
    places = {"largest gain": 0, "median": len(ranked) // 2, "largest loss": len(ranked) - 1}
    found = {ranked[place]: rule for rule, place in reversed(places.items())}
    return [(rule, name) for name, rule in reversed(found.items())]


def image_iou(labels: Labels, truth: Labels) -> float:
    """Mean IoU in percent over the classes that occur in labels or truth, void left out."""
    labels, truth = labels[truth != VOID], truth[truth != VOID]
    classes = np.union1d(labels, truth)
    both = [
        ((labels == c) & (truth == c)).sum() / ((labels == c) | (truth == c)).sum() for c in classes
    ]
    return 100 * float(np.mean(both)) if both else float("nan")


def _uri(image: Image.Image, kind: str, **options: Any) -> str:  # noqa: ANN401 - Pillow's options
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return f"data:image/{kind};base64," + base64.b64encode(stream.getvalue()).decode()


def label_uri(labels: Labels, palette: Sequence[int], clear: Sequence[int]) -> str:
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
