"""What users hand over, brought into the form that pydensecrf takes, or refused."""

import numpy as np
from numpy.typing import NDArray

#: How far from 1 the probabilities of a pixel may add up: softmax in bfloat16 errs by 0.004.
SUM_TOLERANCE = 0.01


def plain(value: object) -> object:
    """A torch tensor as a numpy array, anything else unchanged; torch is not imported."""
    if not hasattr(value, "detach"):
        return value
    tensor = value.detach().cpu()
    if tensor.is_floating_point():
        tensor = tensor.float()  # numpy has no bfloat16
    array: object = tensor.numpy()
    return array


def rgb_image(image: object) -> NDArray[np.uint8]:
    """Any decoded picture as RGB.

    Grey is repeated, alpha dropped and 16 bits cut down to the upper 8.

    Args:
        image: ``(H, W)``, ``(H, W, 1)``, ``(H, W, 3)`` or ``(H, W, 4)``, uint8 or uint16; numpy or
            torch.

    Returns:
        ``(H, W, 3)``, C-contiguous and writable.

    Raises:
        ValueError: On another shape or dtype, floating images included: the kernel's widths are
            in grey levels from 0 to 255, which normalised images no longer have.
    """
    pixels = np.asarray(plain(image))
    if pixels.dtype not in (np.uint8, np.uint16):
        raise ValueError(
            f"expected the image as uint8 from 0 to 255, found {pixels.dtype}: pass the picture as "
            "it was decoded, before normalisation"
        )
    shape = pixels.shape
    if pixels.ndim == 2:
        pixels = pixels[..., None]
    if pixels.ndim != 3 or pixels.shape[2] not in (1, 3, 4) or not pixels.size:
        raise ValueError(
            f"expected an image (H, W), (H, W, 1), (H, W, 3) or (H, W, 4), found {shape}:"
            " put the channels last, image.permute(1, 2, 0)"
        )
    if pixels.dtype == np.uint16:
        pixels = pixels >> 8
    channels = np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else pixels[..., :3]
    return np.require(channels, np.uint8, ["C", "W"])


def class_probabilities(probabilities: object, size: tuple[int, int]) -> NDArray[np.float32]:
    """Softmax at the image's resolution, checked.

    Args:
        probabilities: ``(C, H, W)`` of any floating dtype, numpy or torch.
        size: (H, W) of the image.

    Returns:
        ``(C, H, W)`` float32.

    Raises:
        ValueError: On another shape or dtype, on NaN, on negative values, if a pixel's values do
            not add up to 1 within :data:`SUM_TOLERANCE`, or if the map is too large for the
            32-bit counters of pydensecrf.
    """
    maps = np.asarray(plain(probabilities))
    if maps.ndim != 3 or not maps.size or not np.issubdtype(maps.dtype, np.floating):
        raise ValueError(
            "expected floating probabilities (C, H, W) of one image, found "
            f"{maps.shape} of {maps.dtype}: take the softmax over the classes, without the batch"
        )
    if maps.shape[1:] != size:
        raise ValueError(
            f"expected probabilities of the image's size {size}, found {maps.shape[1:]}: upsample "
            "the logits to the image's size first, then take the softmax"
        )
    if maps.size >= 2**30:
        raise ValueError(
            f"expected less than 2**30 probabilities, found {maps.size}: pydensecrf counts with 32 "
            "bits, cut the image into tiles"
        )
    lowest = maps.min()
    error = np.abs(maps.sum(0, dtype=np.float32) - 1).max()
    if np.isnan(lowest) or lowest < 0 or not error <= SUM_TOLERANCE:
        found = "NaN" if np.isnan(error) else f"minimum {lowest:.4g} and sums up to {error:.4g} off"
        raise ValueError(
            f"expected probabilities of at least 0 that add up to 1 within {SUM_TOLERANCE} in each "
            f"pixel, found {found}: take the softmax of the logits over the classes"
        )
    return maps.astype(np.float32, copy=False)
