"""Boundary IoU against repeated erosions, by hand, and in the limit of plain IoU."""

import numpy as np
import pytest

from reproduce.metrics.boundary_iou import boundary_iou_counts, inner_band
from reproduce.metrics.counts import intersection_union, iou
from reproduce.metrics.label_pair import label_pair
from reproduce.metrics.trimap import trimap_confusion
from tests.metrics import slow


@pytest.mark.parametrize("width", [1, 2, 3])
@pytest.mark.parametrize("seed", range(3))
def test_equals_erosions(seed: int, width: int) -> None:
    pair = label_pair(*slow.scene(seed), 5)
    ours = boundary_iou_counts(pair, width / pair.diagonal)
    assert ours.dtype == np.int64
    assert ours.tolist() == slow.boundary_iou(pair, width)


def test_a_square_one_pixel_too_small() -> None:
    """Rings of depths 1 to 3 and 2 to 4 of a 20 x 20 square: 128 pixels of 256 in common."""
    truth, guess = np.zeros((100, 100), int), np.zeros((100, 100), int)
    truth[40:60, 40:60] = 1
    guess[41:59, 41:59] = 1
    counts = boundary_iou_counts(label_pair(guess, truth, 2))
    assert counts[1].tolist() == [128, 256]
    assert iou(counts)[1] == 0.5


def test_the_frame_is_a_contour() -> None:
    assert inner_band(np.zeros((5, 6), np.uint8), 1).sum() == 18


@pytest.mark.parametrize("seed", range(3))
def test_a_wide_band_is_the_mask(seed: int) -> None:
    pair = label_pair(*slow.scene(seed), 4)
    plain = intersection_union(trimap_confusion(pair)[-1])
    assert boundary_iou_counts(pair, 1).tolist() == plain.tolist()


def test_at_least_one_pixel() -> None:
    pair = label_pair(*slow.scene(0), 4)
    assert boundary_iou_counts(pair, 1e-6).tolist() == slow.boundary_iou(pair, 1)


def test_wrong_ratio() -> None:
    flat = np.zeros((2, 2), int)
    with pytest.raises(ValueError, match="ratio > 0"):
        boundary_iou_counts(label_pair(flat, flat, 2), 0)
