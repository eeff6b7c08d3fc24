"""Confusion matrices in bands of growing width around the contours of the truth."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from reproduce.data.labels import VOID
from reproduce.metrics.contours import contour_depth
from reproduce.metrics.label_pair import LabelPair

#: Widths in pixels; the last one is the whole image.
TRIMAP_WIDTHS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, float("inf"))


def trimap_confusion(pair: LabelPair, widths: Sequence[float] = TRIMAP_WIDTHS) -> NDArray[np.int64]:
    """Confusion matrices over the valid pixels within each width of a contour of the truth.

    Trimaps of Kohli et al. (IJCV 2009) and Krähenbühl & Koltun (NeurIPS 2011), as a function of
    their width in DeepLab-v2 (arXiv 1606.00915, Fig. 10). There a trimap is a band around void;
    here void is a label among the others, never counted itself, so that one definition serves
    data sets whose classes touch, too. A width of w counts the pixels of depth at most w
    (:func:`~reproduce.metrics.contours.contour_depth`): w rows on either side of a straight
    contour, or next to void. In an image of one label only an infinite width counts any.

    Args:
        pair: Prediction and truth.
        widths: W widths in pixels, rising, > 0; inf gives the plain confusion matrix.

    Returns:
        int64 ``(W, C, C)``, rows = truth; each matrix contains those of smaller widths.

    Raises:
        ValueError: If the widths do not rise from above 0.
    """
    edges = np.asarray(widths, np.float64)
    if not (np.diff(edges, prepend=0) > 0).all():
        raise ValueError(f"expected rising widths above 0, got {tuple(widths)}")
    # a label of its own for void: completed maps hold classes below 255
    truth = np.where(pair.valid, pair.truth, VOID)
    band = np.searchsorted(edges, contour_depth(truth)[pair.valid])
    classes = pair.num_classes
    cell = (band * classes + pair.truth[pair.valid]) * classes + pair.prediction[pair.valid]
    counts = np.bincount(cell, minlength=(len(edges) + 1) * classes**2)
    return counts.reshape(-1, classes, classes)[:-1].cumsum(0)
