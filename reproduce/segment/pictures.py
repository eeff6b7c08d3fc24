"""Any picture as upright RGB."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from reproduce.errors import UserError

#: Most pixels of a picture: 3 GiB as RGB.
LIMIT = 2**30


def _eight_bits(image: Image.Image) -> Image.Image:
    """A picture of one channel with more than 8 bits, cut to its upper 8 of 16."""
    values = np.asarray(image)
    if values.dtype.kind == "f" or values.min() < 0 or values.max() > 0xFFFF:
        raise ValueError("expected integers of at most 16 bits")
    return Image.fromarray((values.astype(np.uint16) >> 8).astype(np.uint8))


def to_rgb(image: Image.Image) -> NDArray[np.uint8]:
    """Upright RGB ``(H, W, 3)``: the first frame, transparency on white, 16 bits cut to 8.

    Args:
        image: Of any of Pillow's modes but floating ones.

    Raises:
        ValueError: On too many pixels, or values that are no grey levels of 16 bits.
    """
    if image.width * image.height > LIMIT:
        raise ValueError(f"{image.width}x{image.height} pixels, at most {LIMIT} are read")
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I") or image.mode == "F":
        image = _eight_bits(image)
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image)
    return np.array(image.convert("RGB"))


def read_picture(path: Path) -> NDArray[np.uint8]:
    """The user's picture, upright, as RGB ``(H, W, 3)``.

    Raises:
        UserError: If it cannot be decoded or is too large.
    """
    # Pillow refuses large pictures as attacks; these are the user's own.
    before, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
    try:
        with Image.open(path) as file:
            return to_rgb(file)
    except Exception as error:  # noqa: BLE001 - decoders raise many kinds for a damaged file
        reason = " ".join(str(error).replace(str(path), "the file").split())
        raise UserError(
            f"{path} cannot be decoded ({reason or type(error).__name__}): expected a picture such "
            "as JPEG, PNG, TIFF or WebP"
        ) from None
    finally:
        Image.MAX_IMAGE_PIXELS = before
