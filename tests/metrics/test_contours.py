"""Contours and depths against loops."""

import numpy as np
import pytest

from reproduce.metrics.contours import contour, contour_depth
from tests.metrics import slow


@pytest.mark.parametrize("seed", range(3))
def test_equal_loops(seed: int) -> None:
    _, truth = slow.scene(seed)
    edge = slow.contour(truth)
    assert slow.pixels(contour(truth)) == edge
    depth = contour_depth(truth)
    for at in slow.pixels(np.ones(truth.shape, bool)):
        assert depth[at] == pytest.approx(1 + slow.gap(at, edge), abs=1e-12)


def test_the_frame_and_a_corner_are_no_contour() -> None:
    assert not contour(np.full((4, 5), 3)).any()
    assert np.isinf(contour_depth(np.full((4, 5), 3))).all()
    corner = np.array([[1, 0], [0, 0]])
    assert contour(corner).tolist() == [[True, True], [True, False]]
