"""Pictures for Weights & Biases; what is logged is tested with real runs in tests/runs."""

import numpy as np
import pytest

from reproduce.callbacks.pictures import PicturesCallback, largest_class, level_set_picture


def test_the_largest_class_is_neither_background_nor_void() -> None:
    truth = np.array([[0, 0, 0, 255, 255, 255], [3, 3, 7, 0, 255, 0]], np.uint8)
    assert largest_class(truth) == 3
    assert largest_class(np.full((2, 2), 255, np.uint8)) == 0


def test_the_zero_level_line_is_black() -> None:
    phi = np.full((4, 6), -0.5, np.float32)
    phi[:, 3:] = 0.5
    colours = level_set_picture(phi)
    assert colours.dtype == np.uint8
    assert (colours[:, 2] == 0).all()
    blue, red = colours[0, 0].astype(int), colours[0, 5].astype(int)
    assert blue[2] - blue[0] > 100
    assert red[0] - red[2] > 100


def test_at_most_sixteen() -> None:
    for count in (0, 17):
        with pytest.raises(ValueError, match=f"from 1 to 16, got {count}"):
            PicturesCallback(None, ["background"], count)  # type: ignore[arg-type]
