"""Contours of label maps, and how far a pixel lies from them."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage


def contour(labels: NDArray[np.integer]) -> NDArray[np.bool_]:
    """Pixels with one of their 4 neighbours of another label: contours of all classes at once.

    The frame of the image is no contour.

    Args:
        labels: ``(H, W)``.

    Returns:
        bool ``(H, W)``; with ``labels == c``, the contour of class c, on its inner side.

    Example:
        >>> contour(np.array([[0, 0, 0, 7, 7]])).astype(int).tolist()
        [[0, 0, 1, 1, 0]]
    """
    edge = np.zeros(labels.shape, bool)
    down, right = labels[1:] != labels[:-1], labels[:, 1:] != labels[:, :-1]
    edge[1:] |= down
    edge[:-1] |= down
    edge[:, 1:] |= right
    edge[:, :-1] |= right
    return edge


def contour_depth(labels: NDArray[np.integer]) -> NDArray[np.float64]:
    """1 + Euclidean distance to the nearest pixel of a contour.

    Beside a straight contour, the rows of pixels on either side have depths 1, 2, 3, ...

    Args:
        labels: ``(H, W)``.

    Returns:
        float64 ``(H, W)`` in pixels, >= 1; inf in an image of one label.

    Example:
        >>> contour_depth(np.array([[0, 0, 0, 7, 7]])).tolist()
        [[3.0, 2.0, 1.0, 1.0, 2.0]]
    """
    edge = contour(labels)
    if not edge.any():
        return np.full(labels.shape, np.inf)
    return np.asarray(1 + ndimage.distance_transform_edt(~edge), np.float64)
