"""Boundary IoU: IoU of the inner bands along the contours of truth and prediction."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from reproduce.metrics.label_pair import LabelPair

OUTSIDE = 255  # beyond the frame: no class of a completed map


def inner_band(labels: NDArray[np.uint8], width: int) -> NDArray[np.bool_]:
    """Pixels with another label, or the frame, within ``width`` rows and columns.

    What ``width`` erosions of each class by a 3 x 3 square remove from it, as in the code of
    Cheng et al., for all classes at once: a pixel is kept where its square holds one label only.

    Args:
        labels: ``(H, W)``, classes below 255.
        width: In pixels, >= 1.

    Returns:
        bool ``(H, W)``; with ``labels == c``, the inner band of class c.
    """
    framed = np.pad(labels, 1, constant_values=OUTSIDE)
    size = 2 * width + 1
    band = ndimage.maximum_filter(framed, size) != ndimage.minimum_filter(framed, size)
    return np.asarray(band[1:-1, 1:-1], np.bool_)


def boundary_iou_counts(pair: LabelPair, dilation_ratio: float = 0.02) -> NDArray[np.int64]:
    """Intersection and union of the inner bands of truth and prediction, by class.

    Cheng et al. (CVPR 2021, section 5): the band of a mask holds its pixels within d of its
    contour, d = ``dilation_ratio`` times the diagonal, rounded, at least 1. As in the authors'
    code, distances are chessboard distances, the frame of the image is a contour, and the ratio
    is 2 %. Bands are those of the completed maps; only valid pixels are counted.

    Args:
        pair: Prediction and truth.
        dilation_ratio: Width as a fraction of the diagonal, > 0.

    Returns:
        int64 ``(C, 2)``, for :func:`reproduce.metrics.counts.iou`.

    Raises:
        ValueError: If the ratio is not above 0.
    """
    if dilation_ratio <= 0:
        raise ValueError(f"expected a dilation ratio > 0, got {dilation_ratio}")
    pixels = max(1, round(dilation_ratio * pair.diagonal))
    guess = pair.valid & inner_band(pair.prediction, pixels)
    truth = pair.valid & inner_band(pair.truth, pixels)
    both = guess & truth & (pair.prediction == pair.truth)
    size, true_size, hits = (
        np.bincount(labels[band], minlength=pair.num_classes)
        for labels, band in ((pair.prediction, guess), (pair.truth, truth), (pair.truth, both))
    )
    return np.stack([hits, size + true_size - hits], 1)
