"""Scores as ratios of counts that add up over images."""

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Counts = NDArray[np.int64] | NDArray[np.float64]
CountsT = TypeVar("CountsT", NDArray[np.int64], NDArray[np.float64])


def ratio(part: Counts, whole: Counts) -> NDArray[np.float64]:
    """``part / whole``, nan where ``whole`` is 0.

    Args:
        part: Counts of any shape.
        whole: Counts of the same shape, >= 0.

    Returns:
        float64 of that shape.
    """
    missing = np.full(np.shape(whole), np.nan)
    return np.divide(part, whole, out=missing, where=np.asarray(whole) > 0)


def intersection_union(confusion: CountsT) -> CountsT:
    """Pixels in the intersection and in the union of truth and prediction, by class.

    They add up over images as the matrix does, and are all that IoU needs of it.

    Args:
        confusion: ``(..., C, C)``, rows = truth.

    Returns:
        ``(..., C, 2)`` of the same type.

    Example:
        >>> intersection_union(np.array([[3, 1], [0, 2]])).tolist()
        [[3, 4], [2, 3]]
    """
    hits = np.diagonal(confusion, axis1=-2, axis2=-1)
    return np.stack([hits, confusion.sum(-1) + confusion.sum(-2) - hits], -1)


def iou(counts: Counts) -> NDArray[np.float64]:
    """IoU by class.

    Args:
        counts: ``(..., C, 2)``, intersection and union.

    Returns:
        float64 ``(..., C)`` in [0, 1], nan for a class in neither truth nor prediction.
    """
    return ratio(counts[..., 0], counts[..., 1])


def mean_present(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean over the last axis without its nan, nan where all are.

    Args:
        scores: ``(..., C)``.

    Returns:
        float64 ``(...)``.
    """
    present = ~np.isnan(scores)
    return ratio(np.where(present, scores, 0.0).sum(-1), present.sum(-1))


def mean_iou(counts: Counts) -> NDArray[np.float64]:
    """Mean of :func:`iou` over the classes in truth or prediction.

    Args:
        counts: ``(..., C, 2)``, intersection and union.

    Returns:
        float64 ``(...)`` in [0, 1] or nan.
    """
    return mean_present(iou(counts))
