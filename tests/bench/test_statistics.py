"""Medians and the interval that the sign test gives."""

from math import comb

import numpy as np
import pytest

from reproduce.bench.statistics import Around, median_interval, quartiles


def test_quartiles() -> None:
    assert quartiles([4.0, 1.0, 2.0, 3.0, 5.0]) == (2.0, 3.0, 4.0)
    assert quartiles([7.0]) == (7.0, 7.0, 7.0)
    assert Around(0.5, 1.0, 2.0).text() == "1.00 (0.50 to 2.00)"


@pytest.mark.parametrize("count", [1, 2, 5, 6, 9, 20, 101])
def test_interval_has_the_coverage_it_claims(count: int) -> None:
    """P(the k-th smallest lies above the median) is a sum of binomial probabilities."""
    low, median, high = median_interval([float(n) for n in range(1, count + 1)])
    k = int(low)
    assert high == count + 1 - k
    assert median == (count + 1) / 2

    def outside(rank: int) -> float:
        return 2.0 * sum(comb(count, i) for i in range(rank)) / float(2**count)

    assert outside(k) <= 0.05 or k == 1
    assert outside(k + 1) > 0.05


def test_interval_holds_the_median_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    samples = rng.exponential(size=(2000, 15))
    found = [median_interval(list(sample)) for sample in samples]
    held = np.mean([low <= np.log(2) <= high for low, _, high in found])
    assert 0.95 <= held <= 0.98  # order statistics cannot hit 95 % exactly
