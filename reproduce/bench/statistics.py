"""Medians with what goes around them; no torch, so that pages can use it."""

from collections.abc import Sequence
from math import comb
from typing import NamedTuple

import numpy as np


class Around(NamedTuple):
    """A median between a lower and an upper bound."""

    low: float
    median: float
    high: float

    def text(self, form: str = ".2f") -> str:
        """Such as ``1.02 (0.98 to 1.05)``; ``form`` formats each number."""
        low, median, high = (f"{value:{form}}" for value in self)
        return f"{median} ({low} to {high})"


def quartiles(values: Sequence[float]) -> Around:
    """Median and quartiles, interpolated linearly between the values."""
    return Around(*np.quantile(values, (0.25, 0.5, 0.75)).tolist())


def median_interval(values: Sequence[float], level: float = 0.95) -> Around:
    """Median with a confidence interval that assumes nothing of the distribution.

    The interval runs from the k-th smallest to the k-th largest value, with the largest k at which
    it holds the true median with probability ``level`` (the sign test turned round). Fewer than 6
    values cannot give 95 %: then it is their whole range.

    Args:
        values: At least one.
        level: Least probability.

    Example:
        >>> median_interval([3.0, 1.0, 2.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0])
        Around(low=2.0, median=5.0, high=8.0)
    """
    ordered, count = sorted(values), len(values)
    outside, k = 0.0, 0
    while k < (count + 1) // 2:
        outside += 2 * comb(count, k) / 2**count
        if outside > 1 - level:
            break
        k += 1
    k = max(k, 1)
    return Around(ordered[k - 1], float(np.median(ordered)), ordered[count - k])
