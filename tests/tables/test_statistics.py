"""Intervals, paired gains and verdicts."""

import numpy as np
import pytest
from scipy import stats

from reproduce.tables.statistics import Estimate, estimate, paired_gain, verdict


def test_interval_is_students() -> None:
    values = [30.1, 31.4, 29.2, 30.0]
    found = estimate(values)
    low, high = stats.t.interval(0.95, 3, np.mean(values), stats.sem(values))
    assert found is not None
    assert found.half_width is not None
    assert found.mean - found.half_width == pytest.approx(low)
    assert found.mean + found.half_width == pytest.approx(high)


def test_few_values() -> None:
    assert estimate([]) is None
    assert estimate([3.0]) == Estimate(3.0, None, 1)


def test_gain_is_paired() -> None:
    gain = paired_gain({0: 31.0, 1: 41.0, 2: 51.0, 9: 0.0}, {0: 30.0, 1: 40.0, 2: 50.0, 7: 0.0})
    assert gain == Estimate(1.0, 0.0, 3)
    assert paired_gain({0: 1.0}, {1: 1.0}) is None


@pytest.mark.parametrize(
    ("gain", "paper", "expected"),
    [
        (None, 1.0, "not run"),
        (Estimate(5.0, None, 1), 1.0, "not seen"),
        (Estimate(2.0, 2.5, 3), 1.0, "not seen"),
        (Estimate(-2.0, 0.5, 3), 1.0, "not seen"),
        (Estimate(0.5, 0.2, 3), 1.0, "weaker"),
        (Estimate(0.9, 0.2, 3), 1.0, "reproduced"),
        (Estimate(3.0, 0.2, 3), 1.0, "reproduced"),
    ],
)
def test_verdict(gain: Estimate | None, paper: float, expected: str) -> None:
    assert verdict(gain, paper) == expected
