"""Completion over void and the errors of wrong maps."""

from math import hypot

import numpy as np
import pytest

from reproduce.metrics.label_pair import label_pair
from tests.metrics.slow import VOID, scene


def test_void_takes_the_labels_of_a_nearest_valid_pixel() -> None:
    """Pixels numbered one by one tell where the labels come from."""
    source = np.arange(12 * 13).reshape(12, 13)
    truth = np.where(np.random.default_rng(0).random(source.shape) < 0.6, VOID, source)
    pair = label_pair(source, truth, source.size)
    assert (pair.prediction == pair.truth).all()
    assert (pair.truth[pair.valid] == truth[pair.valid]).all()
    ours = np.argwhere(pair.valid).tolist()
    for y, x in np.argwhere(~pair.valid).tolist():
        v, u = divmod(int(pair.truth[y, x]), 13)
        assert pair.valid[v, u]
        assert hypot(y - v, x - u) == min(hypot(y - b, x - a) for b, a in ours)


def test_a_contour_runs_along_the_middle_of_void() -> None:
    truth = np.array([[0, 0, VOID, VOID, VOID, VOID, 1]])
    pair = label_pair(np.array([[0, 0, 1, 0, 1, 0, 1]]), truth, 2)
    assert pair.truth.tolist() == pair.prediction.tolist() == [[0, 0, 0, 0, 1, 1, 1]]


def test_without_void_maps_stay() -> None:
    guess, truth = scene(0, void=0)
    pair = label_pair(guess, truth, 4)
    assert pair.valid.all()
    assert (pair.prediction == guess).all()
    assert (pair.truth == truth).all()
    assert pair.diagonal == pytest.approx(hypot(*truth.shape))


def test_only_void() -> None:
    pair = label_pair(np.full((3, 4), 7), np.full((3, 4), VOID), 5)
    assert not pair.valid.any()
    assert not pair.prediction.any()


def test_another_label_of_void() -> None:
    pair = label_pair(np.array([[0, 9, 1]]), np.array([[0, -1, 1]]), 2, ignore_index=-1)
    assert pair.valid.tolist() == [[True, False, True]]


def test_errors() -> None:
    two, three = np.zeros((2, 3), int), np.zeros((3, 3), int)
    with pytest.raises(ValueError, match=r"one shape .*\(2, 3\) and \(3, 3\)"):
        label_pair(two, three, 2)
    with pytest.raises(ValueError, match=r"\(H, W\), got \(2,\) and \(2,\)"):
        label_pair(two[:, 0], two[:, 0], 2)
    with pytest.raises(ValueError, match="prediction holds labels 4 to 4, expected 0 to 2"):
        label_pair(two + 4, two, 3)
    with pytest.raises(ValueError, match="truth holds labels -1 to -1, expected 0 to 2"):
        label_pair(two, two - 1, 3)
    with pytest.raises(ValueError, match="expected 1 to 255 classes, got 256"):
        label_pair(two, two, 256)
