"""Dice loss."""

import pytest
import torch
from torch import Tensor

from reproduce.losses import DiceLoss, TverskyLoss
from tests.losses.harness import random_case
from tests.losses.rival_harness import RivalHarness
from tests.losses.rivals_reference import dice_reference


class TestDiceLoss(RivalHarness):
    loss_class = DiceLoss
    additive = False

    def reference(self, logits: Tensor, target: Tensor) -> float:
        return dice_reference(logits, target)


def test_is_tversky_of_equal_weights() -> None:
    logits, target = random_case()
    torch.testing.assert_close(
        DiceLoss(smooth=2)(logits, target), TverskyLoss(0.5, 0.5, smooth=2)(logits, target)
    )


def test_perfect_and_worst() -> None:
    target = random_case(void=False)[1]
    right = torch.nn.functional.one_hot(target, 5).movedim(-1, 1) * 100.0
    assert DiceLoss()(right, target).item() == pytest.approx(0, abs=1e-6)
    assert DiceLoss()(right.roll(1, 1), target).item() == pytest.approx(1)


def test_absent_classes_do_not_dilute() -> None:
    """More classes that nothing predicts leave the loss as it is."""
    logits, target = random_case()
    wide = torch.cat([logits, torch.full_like(logits, -1e3)], 1)
    torch.testing.assert_close(DiceLoss()(wide, target), DiceLoss()(logits, target))


def test_against_wrapped_class_with_void() -> None:
    from segmentation_models_pytorch import losses

    logits, target = random_case()  # 4 of 5 classes
    theirs = losses.DiceLoss("multiclass", ignore_index=255)(logits, target)
    torch.testing.assert_close(DiceLoss()(logits, target), theirs * 5 / 4)


def test_against_monai_and_kornia() -> None:
    logits, target = random_case(void=False)
    logits = logits[:, :4]  # both average over all classes
    ours = DiceLoss()(logits, target)
    monai = pytest.importorskip("monai.losses")
    theirs = monai.DiceLoss(
        softmax=True, to_onehot_y=True, batch=True, smooth_nr=0.0, smooth_dr=0.0
    )
    torch.testing.assert_close(theirs(logits, target[:, None]), ours)
    kornia = pytest.importorskip("kornia.losses")
    stacked = logits.movedim(0, 1).flatten(1, 2).unsqueeze(0)  # it averages over images
    torch.testing.assert_close(
        kornia.dice_loss(stacked, target.flatten(0, 1).unsqueeze(0), average="macro"),
        ours,
        rtol=1e-6,
        atol=0,
    )


def test_wrong_options() -> None:
    with pytest.raises(ValueError, match="at least 0"):
        DiceLoss(smooth=-1)
