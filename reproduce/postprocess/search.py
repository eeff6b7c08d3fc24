"""Search of the CRF's bilateral kernel, coarse to fine, as for DeepLab."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from itertools import pairwise, product
from typing import NamedTuple

from reproduce.postprocess.crf import DenseCRF

#: Bilateral weight, width in pixels and width in grey levels.
Point = tuple[int, int, int]


@dataclass(frozen=True)
class Grid:
    """First round of the search; the widest step between its values is that of the second.

    Attributes:
        bi_w: Weights, ascending.
        bi_xy_std: Widths in pixels, ascending.
        bi_rgb_std: Widths in grey levels, ascending.
    """

    bi_w: tuple[int, ...]
    bi_xy_std: tuple[int, ...]
    bi_rgb_std: tuple[int, ...]

    @property
    def axes(self) -> tuple[tuple[int, ...], ...]:
        """The three axes in the order of :data:`Point`."""
        return self.bi_w, self.bi_xy_std, self.bi_rgb_std


#: DeepLab v1, experiments: [5, 10], [50:10:100] and [3:1:10], "MATLAB notation": two weights.
DEEPLAB_V1 = Grid((5, 10), tuple(range(50, 101, 10)), tuple(range(3, 11)))
#: DeepLab v2, section 4.1: 3:6, 30:10:100 and 3:6.
DEEPLAB_V2 = Grid(tuple(range(3, 7)), tuple(range(30, 101, 10)), tuple(range(3, 7)))


class Trial(NamedTuple):
    """One evaluation: the parameters and their score."""

    crf: DenseCRF
    score: float


class Search(NamedTuple):
    """What was found: the best trial, and all trials in the order they were made."""

    best: Trial
    trials: tuple[Trial, ...]


def _steps(grid: Grid) -> list[int]:
    return [max((b - a for a, b in pairwise(axis)), default=1) for axis in grid.axes]


def _around(center: Point, steps: list[int], limits: list[int]) -> Iterable[Point]:
    for axis, (step, limit) in enumerate(zip(steps, limits, strict=True)):
        for value in (center[axis] - step, center[axis] + step):
            if 1 <= value <= limit:
                yield (*center[:axis], value, *center[axis + 1 :])  # type: ignore[misc]


def search(
    evaluate: Callable[[DenseCRF], float],
    grid: Grid = DEEPLAB_V2,
    base: DenseCRF = DenseCRF(pos_xy_std=3),  # noqa: B008  frozen
) -> Search:
    """The best bilateral kernel; the spatial one and the iterations stay those of ``base``.

    The papers (v1 experiments, v2 section 4.1) say: the grid first, then smaller steps around the
    best values. The rest is our reading: the neighbours of the best point along each axis are tried
    and the best followed until none is better, then the steps are halved, down to 1. It may leave
    the grid, as published values have (121 pixels), between 1 and twice the grid's largest values.
    Among equal scores the one tried first wins. No parameters are tried twice.

    Args:
        evaluate: Mean IoU of a CRF on some images, higher is better. The papers took 100
            validation images; training images keep the test set out of it.
        grid: First round.
        base: The fixed parameters; 3 and 3 for the spatial kernel in the papers.

    Returns:
        The best trial and all of them.

    Raises:
        ValueError: If a score is not a finite number.
    """
    trials: dict[Point, Trial] = {}

    def best_of(points: Iterable[Point], best: Point | None = None) -> Point | None:
        for point in points:
            if point not in trials:
                w, xy, rgb = point
                crf = replace(base, bi_w=w, bi_xy_std=xy, bi_rgb_std=rgb)
                trials[point] = Trial(crf, evaluate(crf))
                if not math.isfinite(trials[point].score):
                    raise ValueError(f"expected a finite score, got {trials[point]}")
            if best is None or trials[point].score > trials[best].score:
                best = point
        return best

    best = best_of(product(grid.bi_w, grid.bi_xy_std, grid.bi_rgb_std))
    if best is None:
        raise ValueError(f"expected values on each axis, got {grid}")
    steps, limits = _steps(grid), [2 * axis[-1] for axis in grid.axes]
    while True:
        better = best_of(_around(best, steps, limits), best)
        if better != best and better is not None:
            best = better
        elif max(steps) > 1:
            steps = [max(step // 2, 1) for step in steps]
        else:
            return Search(trials[best], tuple(trials.values()))
