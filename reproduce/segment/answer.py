"""What is kept of a picture's probabilities; workers of the CRF run it, so torch stays out."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Answer(NamedTuple):
    """The answer for one picture.

    Attributes:
        labels: Class of every pixel, ``(H, W)`` uint8.
        phi: P - 0.5 of one class, ``(H, W)`` float16, if one was asked for.
    """

    labels: NDArray[np.uint8]
    phi: NDArray[np.float16] | None = None


def answer_of(probabilities: NDArray[np.float32], shown: int | None = None) -> Answer:
    """Labels, and the level set function of a class.

    Args:
        probabilities: ``(C, H, W)``.
        shown: The class, or ``None``.
    """
    labels = probabilities.argmax(0).astype(np.uint8)
    if shown is None:
        return Answer(labels)
    return Answer(labels, (probabilities[shown] - 0.5).astype(np.float16))
