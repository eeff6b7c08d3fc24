"""Means, intervals, paired gains and the verdict."""

import math
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

Verdict = Literal["reproduced", "weaker", "gain", "loss", "not seen", "not run"]


class Estimate(NamedTuple):
    """A mean with its uncertainty.

    Attributes:
        mean: Mean.
        half_width: Half of the 95 % interval of Student's t; ``None`` for a single value.
        seeds: How many values.
    """

    mean: float
    half_width: float | None
    seeds: int


def estimate(values: Sequence[float]) -> Estimate | None:
    """Mean and 95 % half-width over seeds, ``None`` without values."""
    count = len(values)
    if count == 0:
        return None
    mean = math.fsum(values) / count
    if count == 1:
        return Estimate(mean, None, 1)
    from scipy.stats import t

    deviation = math.sqrt(math.fsum((v - mean) ** 2 for v in values) / (count - 1))
    return Estimate(mean, float(t.ppf(0.975, count - 1)) * deviation / math.sqrt(count), count)


def paired_gain(ours: Mapping[int, float], baseline: Mapping[int, float]) -> Estimate | None:
    """Gain over the baseline, seed by seed, over the seeds that both have."""
    return estimate([ours[seed] - baseline[seed] for seed in sorted(ours.keys() & baseline.keys())])


def verdict(gain: Estimate | None, paper: float | None) -> Verdict:
    """What the runs say of a gain of the paper.

    * ``not run``: no pair of runs.
    * ``not seen``: a single pair, or an interval that reaches zero (or lies below, beside a
      number of the paper).
    * ``weaker``: an interval above zero that ends below the paper's gain.
    * ``reproduced``: an interval above zero that holds the paper's gain or lies above it.
    * ``gain``, ``loss``: where the paper has no number, an interval above or below zero.
    """
    if gain is None:
        return "not run"
    if gain.half_width is None:
        return "not seen"
    if paper is None and gain.mean + gain.half_width < 0:
        return "loss"
    if gain.mean - gain.half_width <= 0:
        return "not seen"
    if paper is None:
        return "gain"
    return "weaker" if gain.mean + gain.half_width < paper else "reproduced"
