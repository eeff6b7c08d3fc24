"""Trimap matrices against loops, by hand, and against the plain matrix."""

from math import inf

import numpy as np
import pytest
import torch

from reproduce.metrics import confusion_matrix
from reproduce.metrics.counts import intersection_union, iou
from reproduce.metrics.label_pair import label_pair
from reproduce.metrics.trimap import TRIMAP_WIDTHS, trimap_confusion
from tests.metrics import slow

VOID = slow.VOID


@pytest.mark.parametrize("seed", range(4))
def test_equals_loops(seed: int) -> None:
    guess, truth = slow.scene(seed, void=0.02)
    widths = (1.0, 1.5, 2.0, 3.5, inf)
    ours = trimap_confusion(label_pair(guess, truth, 4), widths)
    assert ours.dtype == np.int64
    assert ours.tolist() == slow.trimap(guess, truth, 4, widths)


@pytest.mark.parametrize("seed", range(4))
def test_infinite_width_is_the_plain_matrix(seed: int) -> None:
    guess, truth = slow.scene(seed, classes=6, height=60, width=50)
    plain = confusion_matrix(torch.from_numpy(guess), torch.from_numpy(truth), 6)
    ours = trimap_confusion(label_pair(guess, truth, 6))
    assert ours.shape == (len(TRIMAP_WIDTHS), 6, 6)
    assert ours[-1].tolist() == plain.tolist()
    assert (np.diff(ours, axis=0) >= 0).all()


def test_by_hand() -> None:
    """Rows of pixels beside a straight contour have depths 1, 2, 3, with void between or not."""
    truth = np.array([0] * 8 + [1] * 8)[None].repeat(3, 0)
    guess = np.array([0] * 10 + [1] * 6)[None].repeat(3, 0)
    ours = trimap_confusion(label_pair(guess, truth, 2), (1, 2, 4, inf))
    assert ours[:, 0, 0].tolist() == [3, 6, 12, 24]
    assert ours[:, 1, 0].tolist() == [3, 6, 6, 6]
    assert ours[:, 1, 1].tolist() == [0, 0, 6, 18]
    assert iou(intersection_union(ours))[:, 1] == pytest.approx([0, 0, 6 / 12, 18 / 24])
    truth[:, 7:9] = VOID
    ours = trimap_confusion(label_pair(guess, truth, 2), (1, 2, inf))
    assert ours[:, 0, 0].tolist() == [3, 6, 21]
    assert ours[:, 1, 0].tolist() == [3, 3, 3]


def test_without_contours_only_infinity_counts() -> None:
    flat = np.ones((5, 6), int)
    ours = trimap_confusion(label_pair(flat, flat, 3), (1, 1000, inf))
    assert ours.sum((1, 2)).tolist() == [0, 0, 30]


@pytest.mark.parametrize("widths", [(0, 1), (2, 1), (1, 1), (-1,), (float("nan"),)])
def test_wrong_widths(widths: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="rising widths"):
        trimap_confusion(label_pair(np.zeros((2, 2), int), np.zeros((2, 2), int), 2), widths)
