"""Boundary F-score against loops and by hand."""

import numpy as np
import pytest

from reproduce.metrics.boundary_f import boundary_f, boundary_f_counts, mean_boundary_f
from reproduce.metrics.label_pair import label_pair
from tests.metrics import slow


@pytest.mark.parametrize("reach", [0, 1, 1.5, 3])
@pytest.mark.parametrize("seed", range(3))
def test_equals_loops(seed: int, reach: float) -> None:
    pair = label_pair(*slow.scene(seed), 5)
    reach += 1e-9  # off the ties
    ours = boundary_f_counts(pair, reach / pair.diagonal)
    assert ours.dtype == np.int64
    assert ours.tolist() == slow.boundary_f(pair, reach)


def test_an_edge_moved_by_three() -> None:
    truth = np.array([0] * 10 + [1] * 20)[None].repeat(20, 0)
    pair = label_pair(np.roll(truth, 3, 1) * (np.arange(30) > 2), truth, 3)
    near = boundary_f_counts(pair, 3.01 / pair.diagonal)
    assert near.tolist() == [[20] * 4, [20] * 4, [0] * 4]
    far = boundary_f_counts(pair, 2.99 / pair.diagonal)
    assert far.tolist() == [[20, 0, 20, 0], [20, 0, 20, 0], [0] * 4]
    assert mean_boundary_f(near) == 1
    assert mean_boundary_f(far) == 0


def test_classes_do_not_match_each_other() -> None:
    """The same square, of another class."""
    truth = np.zeros((20, 20), int)
    truth[5:10, 5:10] = 1
    counts = boundary_f_counts(label_pair(truth * 2, truth, 3))
    assert counts[1].tolist() == [0, 0, 16, 0]
    assert counts[2].tolist() == [16, 0, 0, 0]
    assert boundary_f(counts).tolist() == [1, 0, 0]


def test_no_tolerance() -> None:
    guess, truth = slow.scene(0)
    pair = label_pair(guess, truth, 4)
    assert boundary_f_counts(pair, 0).tolist() == slow.boundary_f(pair, 0)
    same = boundary_f_counts(pair._replace(prediction=pair.truth), 0)
    assert mean_boundary_f(same) == 1


def test_scores() -> None:
    counts = np.array([[10, 5, 20, 20], [0, 0, 4, 0], [0, 0, 0, 0], [3, 0, 3, 0]])
    score = boundary_f(counts)
    assert score[:2] == pytest.approx([2 / 3, 0])
    assert np.isnan(score[2])
    assert score[3] == 0
    assert mean_boundary_f(counts) == pytest.approx(2 / 9)
    images = np.stack([counts, counts * 2])
    assert mean_boundary_f(images) == pytest.approx([2 / 9, 2 / 9])


def test_negative_tolerance() -> None:
    flat = np.zeros((2, 2), int)
    with pytest.raises(ValueError, match="tolerance >= 0"):
        boundary_f_counts(label_pair(flat, flat, 2), -0.1)
