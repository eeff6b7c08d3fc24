"""The search on objectives whose best point is known."""

from itertools import product

import pytest

from reproduce.postprocess import DEEPLAB_V1, DEEPLAB_V2, DenseCRF, Grid, search


class Bowl:
    """Best at one point; keeps what it was asked."""

    def __init__(self, w: float, xy: float, rgb: float) -> None:
        self.best = w, xy, rgb
        self.asked: list[DenseCRF] = []

    def __call__(self, crf: DenseCRF) -> float:
        self.asked.append(crf)
        w, xy, rgb = self.best
        distance = (crf.bi_w - w) ** 2 + ((crf.bi_xy_std - xy) / 10) ** 2
        return 70 - distance - (crf.bi_rgb_std - rgb) ** 2


@pytest.mark.parametrize(
    ("grid", "best"),
    [
        (DEEPLAB_V1, (4, 121, 5)),  # the published values of LargeFOV leave v1's grid
        (DEEPLAB_V1, (4, 83, 5)),
        (DEEPLAB_V2, (4, 67, 3)),
        (DEEPLAB_V2, (7, 29, 2)),
        (Grid((5,), (50,), (3,)), (6, 52, 3)),
    ],
)
def test_finds_the_best_point(grid: Grid, best: tuple[int, int, int]) -> None:
    objective = Bowl(*best)
    found = search(objective, grid)
    assert found.best.crf == DenseCRF(10, 3, 3, *best)
    assert found.best.score == 70
    assert len(set(objective.asked)) == len(objective.asked)
    assert [trial.crf for trial in found.trials] == objective.asked
    assert max(found.trials, key=lambda trial: trial.score) == found.best


def test_the_first_round_is_the_grid_of_the_paper() -> None:
    for grid, axes in (
        (DEEPLAB_V1, ([5, 10], range(50, 101, 10), range(3, 11))),
        (DEEPLAB_V2, (range(3, 7), range(30, 101, 10), range(3, 7))),
    ):
        points = list(product(*axes))
        first = [trial.crf for trial in search(Bowl(5, 50, 3), grid).trials[: len(points)]]
        assert [(crf.bi_w, crf.bi_xy_std, crf.bi_rgb_std) for crf in first] == points


def test_the_other_parameters_stay_those_of_the_base() -> None:
    base = DenseCRF(5, pos_w=2, pos_xy_std=1)
    assert search(Bowl(4, 67, 3), Grid((4,), (60, 70), (3,)), base).best.crf == DenseCRF(
        5, 2, 1, 4, 67, 3
    )


def test_the_first_of_equal_scores_wins() -> None:
    found = search(lambda _: 1.0)
    assert found.best == found.trials[0]
    assert found.best.crf == DenseCRF(10, 3, 3, 3, 30, 3)


def test_an_objective_that_always_rises_ends_at_twice_the_grid() -> None:
    found = search(lambda crf: float(crf.bi_xy_std))
    assert found.best.crf.bi_xy_std == 200


def test_scores_that_are_no_numbers_are_refused() -> None:
    with pytest.raises(ValueError, match="finite score"):
        search(lambda _: float("nan"))
    with pytest.raises(ValueError, match="values on each axis"):
        search(lambda _: 0.0, Grid((), (50,), (3,)))
