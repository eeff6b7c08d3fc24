"""A prediction and its truth, checked once and completed over void."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from reproduce.data.labels import VOID


class LabelPair(NamedTuple):
    """Label maps of one image; made by :func:`label_pair`.

    Void is a region about which the truth says nothing, so nothing predicted there may count. A
    contour cannot be cut out of the plane, though: on VOC nearly all of them run through void.
    So both maps take, at each void pixel, their own label at the valid pixel nearest to it. A
    contour then runs along the middle of a void band, in the truth as in the prediction, and
    both maps are equal where all valid pixels are.

    Attributes:
        prediction: uint8 ``(H, W)`` in [0, C), completed over void.
        truth: uint8 ``(H, W)`` in [0, C), completed over void.
        valid: bool ``(H, W)``, False at void. All False for an image without valid pixels, whose
            maps are 0 throughout.
        num_classes: Number of classes C.
    """

    prediction: NDArray[np.uint8]
    truth: NDArray[np.uint8]
    valid: NDArray[np.bool_]
    num_classes: int

    @property
    def diagonal(self) -> float:
        """Diagonal of the image in pixels."""
        return float(np.hypot(*self.valid.shape))


def label_pair(
    prediction: NDArray[np.integer],
    truth: NDArray[np.integer],
    num_classes: int,
    ignore_index: int = VOID,
) -> LabelPair:
    """Check two label maps and complete them over void.

    Args:
        prediction: Classes ``(H, W)``; what stands at void pixels is not read.
        truth: Labels ``(H, W)``.
        num_classes: Number of classes C, at most 255.
        ignore_index: Label of void in the truth.

    Returns:
        The pair. Of several nearest valid pixels, both maps take the same one.

    Raises:
        ValueError: If the shapes differ, are not ``(H, W)``, or a label is out of range.
    """
    if prediction.shape != truth.shape or truth.ndim != 2:
        raise ValueError(
            f"expected prediction and truth of one shape (H, W), got {prediction.shape} and "
            f"{truth.shape}"
        )
    if not 0 < num_classes <= VOID:
        raise ValueError(f"expected 1 to {VOID} classes, got {num_classes}")
    valid = truth != ignore_index
    for name, labels in (("truth", truth[valid]), ("prediction", prediction[valid])):
        if labels.size and not (labels.min() >= 0 and labels.max() < num_classes):
            raise ValueError(
                f"{name} holds labels {labels.min()} to {labels.max()}, "
                f"expected 0 to {num_classes - 1}"
            )
    if not valid.any():
        zeros = np.zeros(truth.shape, np.uint8)
        return LabelPair(zeros, zeros, valid, num_classes)
    if not valid.all():
        rows, columns = ndimage.distance_transform_edt(
            ~valid, return_distances=False, return_indices=True
        )
        prediction, truth = prediction[rows, columns], truth[rows, columns]
    return LabelPair(prediction.astype(np.uint8), truth.astype(np.uint8), valid, num_classes)
