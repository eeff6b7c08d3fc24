"""Ratios of counts."""

import numpy as np
import pytest
import torch

from reproduce.metrics import iou_per_class
from reproduce.metrics.counts import intersection_union, iou, mean_iou, mean_present


def test_iou_equals_that_of_the_set() -> None:
    """A class in neither truth nor prediction is missing from both."""
    confusion = np.random.default_rng(0).integers(0, 9, (3, 5, 5))
    confusion[:, 2], confusion[:, :, 2] = 0, 0
    counts = intersection_union(confusion)
    for matrix, ours in zip(confusion, iou(counts), strict=True):
        theirs = iou_per_class(torch.from_numpy(matrix))
        assert ours == pytest.approx(theirs.numpy(), nan_ok=True)
        assert mean_present(ours) == pytest.approx(theirs.nanmean().item())
    assert np.isnan(iou(counts)[:, 2]).all()
    assert (counts.sum(0) == intersection_union(confusion.sum(0))).all()


def test_nothing_is_missing_and_not_zero() -> None:
    assert np.isnan(mean_iou(np.zeros((3, 2), np.int64)))
    assert mean_present(np.array([[0.0, np.nan], [np.nan, np.nan]])).tolist()[0] == 0
