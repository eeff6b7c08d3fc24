"""Boundary F-score: contours that lie within a tolerance of each other."""

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

from reproduce.metrics.contours import contour
from reproduce.metrics.counts import Counts, mean_present, ratio
from reproduce.metrics.label_pair import LabelPair


def _matched(
    points: NDArray[np.int64], others: NDArray[np.int64], reach: float
) -> NDArray[np.bool_]:
    """Points ``(M, 3)`` (class, row, column) with another of their class within reach: ``(M,)``."""
    if not len(points) or not len(others):
        return np.zeros(len(points), bool)
    apart = np.array([reach + 1, 1, 1])  # classes out of reach of each other
    distance, _ = KDTree(others * apart).query(points * apart, distance_upper_bound=reach + 0.5)
    return np.asarray(distance <= reach, bool)


def boundary_f_counts(pair: LabelPair, tolerance: float = 0.0075) -> NDArray[np.int64]:
    """Contour pixels and those matched, by class.

    A contour pixel of class c is matched where the other map has a contour pixel of c within
    ``tolerance`` times the diagonal. Csurka et al. (BMVC 2013), whose tolerance is
    0.75 % of the diagonal; Perazzi et al. (CVPR 2016, DAVIS) use 0.8 %, rounded up to pixels.
    Contours are those of the completed maps, and count where they run through void, too.

    Args:
        pair: Prediction and truth.
        tolerance: As a fraction of the diagonal, >= 0.

    Returns:
        int64 ``(C, 4)``: predicted contour, its matched pixels, true contour, its matched pixels.

    Raises:
        ValueError: If the tolerance is negative.
    """
    if tolerance < 0:
        raise ValueError(f"expected a tolerance >= 0, got {tolerance}")
    reach = tolerance * pair.diagonal
    points = []
    for labels in (pair.prediction, pair.truth):
        at = np.nonzero(contour(labels))
        points.append(np.stack([labels[at], *at], 1).astype(np.int64))
    guess, truth = points
    sides = (
        (guess, None),
        (guess, _matched(guess, truth, reach)),
        (truth, None),
        (truth, _matched(truth, guess, reach)),
    )
    columns = [np.bincount(at[:, 0], hits, pair.num_classes) for at, hits in sides]
    return np.stack(columns, 1).astype(np.int64)


def boundary_f(counts: Counts) -> NDArray[np.float64]:
    """F-score by class: harmonic mean of precision and recall of the contour.

    Args:
        counts: ``(..., C, 4)`` of :func:`boundary_f_counts`, of an image or summed over images.

    Returns:
        float64 ``(..., C)`` in [0, 1]; 0 for a contour in one map only, nan for one in neither.
    """
    precision = ratio(counts[..., 1], counts[..., 0])
    recall = ratio(counts[..., 3], counts[..., 2])
    both = precision + recall
    score = ratio(2 * precision * recall, both)
    score[both == 0] = 0
    score[np.isnan(precision) != np.isnan(recall)] = 0
    return score


def mean_boundary_f(counts: Counts) -> NDArray[np.float64]:
    """Mean of :func:`boundary_f` over the classes with a contour in truth or prediction.

    Args:
        counts: ``(..., C, 4)``. Given images one by one, ``(N, C, 4)``, the mean of the result
            is the score by image of Csurka et al.; summed over images, it is that of the set.

    Returns:
        float64 ``(...)`` in [0, 1] or nan.
    """
    return mean_present(boundary_f(counts))
