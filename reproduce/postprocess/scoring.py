"""What workers make of an image beside the CRF: labels compared with the truth, without torch."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from reproduce.data.labels import VOID
from reproduce.metrics.by_image import ImageCounts, image_counts

Labels = NDArray[np.integer[Any]]


def confusion(labels: Labels, truth: Labels, num_classes: int) -> NDArray[np.int64]:
    """Confusion matrix of one image, as :func:`reproduce.metrics.scores.confusion_matrix`.

    Args:
        labels: Classes ``(H, W)``.
        truth: Labels ``(H, W)``, void as 255.
        num_classes: Number of classes C.

    Returns:
        ``(C, C)``, rows = truth.
    """
    valid = truth != VOID
    cell = truth[valid].astype(np.int64) * num_classes + labels[valid]
    return np.bincount(cell, minlength=num_classes**2).reshape(num_classes, num_classes)


def resize_nearest(labels: Labels, size: tuple[int, int]) -> Labels:
    """Labels of the pixels nearest to the centres of a grid of ``size``."""
    if labels.shape == size:
        return labels
    rows, columns = (
        ((np.arange(new) + 0.5) * old / new).astype(np.intp)
        for new, old in zip(size, labels.shape, strict=True)
    )
    resized: Labels = labels[rows[:, None], columns]
    return resized


def most_probable(marginals: NDArray[np.float32], truth: Labels) -> Labels:
    """Class of every pixel of the truth.

    The CRF works on the image the network sees; where that is smaller than the truth (Cityscapes at
    half resolution), its labels are enlarged.
    """
    return resize_nearest(marginals.argmax(0), (truth.shape[0], truth.shape[1]))


def score_labels(
    labels: Labels, truth: Labels, num_classes: int
) -> tuple[NDArray[np.int64], ImageCounts]:
    """Confusion, and counts of contours and objects, of one image."""
    return confusion(labels, truth, num_classes), image_counts(labels, truth, num_classes)


def score_marginals(
    marginals: NDArray[np.float32], truth: Labels, num_classes: int
) -> tuple[NDArray[np.int64], ImageCounts]:
    """:func:`score_labels` of the most probable classes ``(C, H, W)``."""
    return score_labels(most_probable(marginals, truth), truth, num_classes)


def confuse_marginals(
    marginals: NDArray[np.float32], truth: Labels, num_classes: int
) -> NDArray[np.int64]:
    """:func:`confusion` of the most probable classes ``(C, H, W)``."""
    return confusion(most_probable(marginals, truth), truth, num_classes)
