"""Objects by size against flooding, and by hand."""

import numpy as np
import pytest

from reproduce.metrics.label_pair import label_pair
from reproduce.metrics.objects import object_table, size_counts, size_edges, size_scores
from tests.metrics import slow


@pytest.mark.parametrize("foreground_only", [True, False])
@pytest.mark.parametrize("seed", range(6))
def test_equals_flooding(seed: int, foreground_only: bool) -> None:
    pair = label_pair(*slow.scene(seed), 4)
    ours = object_table(pair, foreground_only)
    assert ours.dtype == np.int64
    assert sorted(ours.tolist()) == slow.objects(pair, int(foreground_only))


def rectangles() -> tuple[np.ndarray, np.ndarray]:
    """Two squares under one predicted rectangle, a missed line, a false alarm far away."""
    truth, guess = np.zeros((30, 30), int), np.zeros((30, 30), int)
    truth[2:6, 2:6] = truth[2:6, 8:12] = truth[20, 2:11] = 1
    guess[2:6, 2:12] = guess[25:29, 20:29] = 1
    return guess, truth


def test_by_hand() -> None:
    table = object_table(label_pair(*rectangles(), 2))
    assert sorted(table.tolist()) == [[1, 9, 0, 0], [1, 16, 16, 8], [1, 16, 16, 8]]
    counts = size_counts(table, np.array([10.0, 100.0]))
    assert counts[0].tolist() == [1, 9, 0, 0, 0]
    assert counts[1] == pytest.approx([2, 32, 32, 2, 2 * 16 / 24])
    scores = size_scores(counts)
    assert scores.recall[:2].tolist() == scores.pixel_recall[:2].tolist() == [0, 1]
    assert scores.iou[:2] == pytest.approx([0, 2 / 3])
    assert all(np.isnan(score[2]) for score in scores)


def test_a_prediction_reaches_over_void() -> None:
    """Void between an object and what is predicted beyond it does not part the prediction."""
    truth = np.array([[1, 1, slow.VOID, 0, 0, 0]])
    table = object_table(label_pair(np.array([[1, 1, 0, 1, 1, 0]]), truth, 2))
    assert table.tolist() == [[1, 2, 2, 2]]


def test_void_does_not_cut_an_object() -> None:
    """Specks beyond void belong to it; void counts in no area."""
    truth = np.zeros((9, 9), int)
    truth[2:7, 2:7] = 1
    truth[3:6, 3:6] = slow.VOID
    truth[4, 4] = 1
    table = object_table(label_pair(np.ones_like(truth), truth, 2))
    assert table.tolist() == [[1, 17, 17, 56]]


def test_an_object_of_void_only_is_none() -> None:
    """Completion can leave a region apart from the pixel that it takes its label from."""
    pair = label_pair(*rectangles(), 2)
    hidden = pair.valid & (np.arange(30) < 7)  # the right square and half of the line are void
    table = object_table(pair._replace(valid=hidden))
    assert sorted(table.tolist()) == [[1, 5, 0, 0], [1, 16, 16, 4]]


def test_diagonal_neighbours_are_one_object() -> None:
    truth = np.eye(4, dtype=int)
    assert object_table(label_pair(truth, truth, 2)).tolist() == [[1, 4, 4, 0]]


def test_edges_are_quantiles_and_ties_are_small() -> None:
    assert size_edges(np.array([1, 2, 3, 4])).tolist() == pytest.approx([2, 3])
    table = np.array([[1, area, 0, 0] for area in (1, 2, 3, 4)])
    counts = size_counts(table, np.array([2.0, 3.0]))
    assert counts[:, 0].tolist() == [2, 1, 1]
    assert counts[:, 1].tolist() == [3, 3, 4]
    with pytest.raises(ValueError, match="at least one object"):
        size_edges(np.zeros(0, np.int64))


def test_counts_add_up_over_images() -> None:
    tables = [object_table(label_pair(*slow.scene(seed), 4)) for seed in range(4)]
    edges = size_edges(np.concatenate(tables)[:, 1])
    together = size_counts(np.concatenate(tables), edges)
    apart = np.sum([size_counts(table, edges) for table in tables], axis=0)
    assert apart == pytest.approx(together)
    assert together[:, 0].sum() == sum(map(len, tables))


def test_no_object() -> None:
    flat = np.zeros((4, 4), int)
    table = object_table(label_pair(flat, flat, 2))
    assert table.shape == (0, 4)
    assert not size_counts(table, np.array([1.0, 2.0])).any()
