"""Paired bootstrap against a loop, normal theory, and its own rules."""

import time

import numpy as np
import pytest

from reproduce.metrics.bootstrap import paired_bootstrap
from reproduce.metrics.counts import intersection_union, mean_iou


def accuracy(sums: np.ndarray) -> np.ndarray:
    return np.asarray(sums[..., 0] / sums[..., 1])


def counted(seed: int, images: int = 40) -> np.ndarray:
    """Right pixels and all pixels by image."""
    rng = np.random.default_rng(seed)
    total = rng.integers(50, 100, images)
    return np.stack([rng.binomial(total, 0.7), total], 1)


def test_equals_a_loop_over_draws() -> None:
    """The images of each draw are repeated, pooled and scored one draw at a time."""
    first, second = counted(0), counted(1)
    draws = np.random.default_rng(5).multinomial(40, [1 / 40] * 40, 200)
    pairs = []
    for draw in draws:
        names = [image for image, times in enumerate(draw) for _ in range(times)]
        assert len(names) == 40
        hits = [sum(int(c[i, 0]) for i in names) for c in (first, second)]
        totals = [sum(int(c[i, 1]) for i in names) for c in (first, second)]
        pairs.append((hits[0] / totals[0], hits[1] / totals[1]))
    ours = paired_bootstrap(first, second, accuracy, resamples=200, level=0.9, seed=5)
    slow = np.array([(a, b, b - a) for a, b in pairs])
    for interval, column in zip(ours, slow.T, strict=True):
        assert [interval.low, interval.high] == pytest.approx(np.quantile(column, [0.05, 0.95]))
    whole = [c[:, 0].sum() / c[:, 1].sum() for c in (first, second)]
    assert ours.first.value == pytest.approx(whole[0])
    assert ours.difference.value == pytest.approx(whole[1] - whole[0])


def test_normal_theory() -> None:
    """Of a mean, the interval is that of the standard error."""
    values = np.random.default_rng(0).normal(3, 2, 400)
    counts = np.stack([values, np.ones(400)], 1)
    low, high = paired_bootstrap(counts, counts, accuracy, resamples=4000).first[1:]
    half = 1.96 * values.std() / 20
    assert low == pytest.approx(values.mean() - half, abs=0.1 * half)
    assert high == pytest.approx(values.mean() + half, abs=0.1 * half)


def test_pairs_share_their_images() -> None:
    """A constant gain has an interval of no width, however much the images differ."""
    first = counted(2)
    first[:, 1] = 100
    result = paired_bootstrap(first, first + np.array([3, 0]), accuracy)
    assert result.difference == pytest.approx((0.03, 0.03, 0.03))
    assert result.first.high - result.first.low > 0.01
    same = paired_bootstrap(first, first, accuracy)
    assert [float(end) for end in same.difference] == [0, 0, 0]


def test_the_seed_decides() -> None:
    first, second = counted(0), counted(1)
    once, again, other = (paired_bootstrap(first, second, accuracy, seed=s) for s in (1, 1, 2))
    assert once == again
    assert once != other
    swapped = paired_bootstrap(second, first, accuracy, seed=1)
    assert swapped.difference.low == pytest.approx(-once.difference.high)


def test_several_scores_at_once() -> None:
    """Each has the interval that it has alone."""
    rng = np.random.default_rng(3)
    first, second = rng.integers(1, 9, (2, 30, 4, 3, 3))
    together = paired_bootstrap(first, second, lambda s: mean_iou(intersection_union(s)))
    assert together.difference.low.shape == (4,)
    alone = paired_bootstrap(first[:, 2], second[:, 2], lambda s: mean_iou(intersection_union(s)))
    assert together.difference.low[2] == pytest.approx(float(alone.difference.low))


def test_fast_at_the_size_of_voc() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.integers(0, 1000, (2, 1449, 21, 21))
    start = time.process_time()
    result = paired_bootstrap(first, second, lambda s: mean_iou(intersection_union(s)))
    assert time.process_time() - start < 5
    assert result.first.low < result.first.value < result.first.high


def test_errors() -> None:
    with pytest.raises(ValueError, match=r"\(40, 2\) and \(39, 2\)"):
        paired_bootstrap(counted(0), counted(0)[1:], accuracy)
    with pytest.raises(ValueError, match="same images"):
        paired_bootstrap(counted(0)[:0], counted(0)[:0], accuracy)
    with pytest.raises(ValueError, match=r"got 0 and 0\.95"):
        paired_bootstrap(counted(0), counted(0), accuracy, resamples=0)
    with pytest.raises(ValueError, match="got 1000 and 95"):
        paired_bootstrap(counted(0), counted(0), accuracy, level=95)
