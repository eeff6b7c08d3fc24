"""Paired bootstrap over images of scores that are functions of summed counts."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from reproduce.metrics.counts import Counts

Score = Callable[[NDArray[np.float64]], NDArray[np.float64]]


class Interval(NamedTuple):
    """A score with the ends of its interval, each of the shape that the score function gives."""

    value: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]


class PairedIntervals(NamedTuple):
    """Intervals of two methods on the same images.

    Attributes:
        first: Score of the first method.
        second: Score of the second method.
        difference: ``second - first``.
    """

    first: Interval
    second: Interval
    difference: Interval


def paired_bootstrap(
    first: Counts,
    second: Counts,
    score: Score,
    resamples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> PairedIntervals:
    """Percentile intervals of two methods' scores and of their difference.

    Images are drawn with replacement, the same for both methods, and the score is taken of the
    summed counts of each draw (Efron & Tibshirani 1993, chapter 13). The intervals say
    how scores vary with the images; that trainings differ by seed is not in them.

    Args:
        first: Counts ``(N, ...)`` by image of the first method, additive over images.
        second: Those of the second method on the same images in the same order.
        score: From summed counts ``(R, ...)`` of R draws to scores ``(R, *S)``.
        resamples: Number of draws.
        level: Coverage in (0, 1).
        seed: Of the draws.

    Returns:
        Intervals of shape ``S``; ends are nan where the score of a draw is.

    Raises:
        ValueError: If the counts differ in shape, there are no images, or an option is out of
            range.

    Example:
        >>> hits = np.array([[8, 10], [9, 10], [7, 10]])  # right and all pixels of 3 images
        >>> better = hits + np.array([1, 0])
        >>> result = paired_bootstrap(hits, better, lambda sums: sums[:, 0] / sums[:, 1])
        >>> [round(float(end), 3) for end in result.difference]
        [0.1, 0.1, 0.1]
    """
    if first.shape != second.shape or not len(first):
        raise ValueError(
            f"expected counts of the same images, got shapes {first.shape} and {second.shape}"
        )
    if resamples < 1 or not 0 < level < 1:
        raise ValueError(
            f"expected resamples >= 1 and level in (0, 1), got {resamples} and {level}"
        )
    images = len(first)
    draws = np.random.default_rng(seed).multinomial(images, np.full(images, 1 / images), resamples)
    weights = np.concatenate([np.ones((1, images)), draws])  # row 0 is the set itself

    def scores(counts: Counts) -> NDArray[np.float64]:
        sums = weights @ counts.reshape(images, -1).astype(np.float64)
        return score(sums.reshape(-1, *counts.shape[1:]))

    tails = ((1 - level) / 2, (1 + level) / 2)

    def interval(values: NDArray[np.float64]) -> Interval:
        return Interval(values[0], *np.quantile(values[1:], tails, axis=0))

    ours, theirs = scores(first), scores(second)
    return PairedIntervals(interval(ours), interval(theirs), interval(theirs - ours))
