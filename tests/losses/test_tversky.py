"""Tversky loss."""

import pytest
import torch
from torch import Tensor

from reproduce.losses import TverskyLoss
from tests.losses.harness import random_case
from tests.losses.rival_harness import RivalHarness
from tests.losses.rivals_reference import tversky_reference


class TestTverskyLoss(RivalHarness):
    loss_class = TverskyLoss
    additive = False

    def reference(self, logits: Tensor, target: Tensor) -> float:
        return tversky_reference(logits, target, alpha=0.3, beta=0.7, smooth=0)


def test_options() -> None:
    logits, target = random_case()
    expected = tversky_reference(logits, target, alpha=1, beta=0.25, smooth=1.5)
    found = TverskyLoss(alpha=1, beta=0.25, smooth=1.5)(logits, target)
    assert found.item() == pytest.approx(expected, rel=1e-9)


def test_beta_asks_for_recall() -> None:
    """With two classes, one missed pixel of class 1 costs it more than one too many."""
    target = torch.zeros(1, 1, 8, dtype=torch.long)
    target[..., :4] = 1
    losses = []
    for predicted in (3, 5):
        logits = torch.full((1, 2, 1, 8), -50.0)
        logits[:, 1, :, :predicted] = 50
        logits[:, 0, :, predicted:] = 50
        losses.append(tversky_reference(logits, target, 0.3, 0.7, 0))
        assert TverskyLoss()(logits, target).item() == pytest.approx(losses[-1], rel=1e-5)
    missed_of_one = 1 - 3 / (3 + 0.7)
    extra_of_zero = 1 - 4 / (4 + 0.3)
    assert losses[0] == pytest.approx((missed_of_one + extra_of_zero) / 2)


def test_against_monai() -> None:
    logits, target = random_case(void=False)
    logits = logits[:, :4]
    ours = TverskyLoss(0.3, 0.7)(logits, target)
    monai = pytest.importorskip("monai.losses")
    theirs = monai.TverskyLoss(
        softmax=True,
        to_onehot_y=True,
        batch=True,
        alpha=0.3,
        beta=0.7,
        smooth_nr=0.0,
        smooth_dr=0.0,
    )
    torch.testing.assert_close(theirs(logits, target[:, None]), ours)


@pytest.mark.parametrize("options", [{"alpha": -1.0}, {"beta": -1.0}, {"smooth": -1.0}])
def test_wrong_options(options: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="at least 0"):
        TverskyLoss(**options)  # type: ignore[arg-type]
