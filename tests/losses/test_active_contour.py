"""Active contour loss and the length of contours."""

from typing import ClassVar

import pytest
import torch
from torch import Tensor

from reproduce.losses import ActiveContourLoss
from reproduce.losses.variation import total_variation
from tests.losses.harness import random_case
from tests.losses.rival_harness import RivalHarness
from tests.losses.rivals_reference import active_contour_reference


class TestActiveContourLoss(RivalHarness):
    loss_class = ActiveContourLoss
    options: ClassVar = {"lam": 4.0}

    def reference(self, logits: Tensor, target: Tensor) -> float:
        return active_contour_reference(logits, target, lam=4)


def test_default_lam() -> None:
    logits, target = random_case()
    expected = active_contour_reference(logits, target, lam=1)
    assert ActiveContourLoss()(logits, target).item() == pytest.approx(expected, rel=1e-9)


def test_length_of_a_square() -> None:
    """Each edge has its length, only the corner with both differences is cut short."""
    maps = torch.zeros(1, 1, 20, 20)
    maps[..., 5:15, 5:15] = 1
    length = total_variation(maps, torch.ones(1, 20, 20, dtype=torch.bool))
    assert length.item() == pytest.approx(40 - (2 - 2**0.5), abs=0.02)


def test_void_cuts_contours() -> None:
    maps = torch.zeros(1, 1, 4, 6)
    maps[..., 3:] = 1
    valid = torch.ones(1, 4, 6, dtype=torch.bool)
    valid[:, :2, 2] = False
    assert total_variation(maps, valid).item() == pytest.approx(2, abs=1e-3)


def test_hard_maps() -> None:
    """With the right maps only the length is left; each wrong pixel adds two."""
    target = torch.zeros(1, 6, 6, dtype=torch.long)
    target[:, :, 3:] = 1
    right = torch.nn.functional.one_hot(target, 2).movedim(-1, 1) * 100.0
    length = 2 * 6 / 36
    assert ActiveContourLoss()(right, target).item() == pytest.approx(length, abs=1e-4)
    assert ActiveContourLoss()(-right, target).item() == pytest.approx(2 + length, abs=1e-4)


def test_wrong_options() -> None:
    with pytest.raises(ValueError, match="at least 0"):
        ActiveContourLoss(lam=-1)
    assert ActiveContourLoss(lam=0)(*random_case()).item() > 0
