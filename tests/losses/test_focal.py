"""Focal loss."""

import math
from typing import ClassVar

import pytest
import torch
from torch import Tensor

from reproduce.losses import FocalLoss
from tests.losses.harness import random_case
from tests.losses.reference import cross_entropy_reference
from tests.losses.rival_harness import RivalHarness
from tests.losses.rivals_reference import focal_reference, sigmoid_focal_reference


class TestFocalLoss(RivalHarness):
    loss_class = FocalLoss
    additive = False

    def reference(self, logits: Tensor, target: Tensor) -> float:
        return focal_reference(logits, target, gamma=2)


class TestSigmoidFocalLoss(RivalHarness):
    loss_class = FocalLoss
    options: ClassVar = {"activation": "sigmoid", "gamma": 1.5}
    additive = False

    def reference(self, logits: Tensor, target: Tensor) -> float:
        return sigmoid_focal_reference(logits, target, gamma=1.5)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0])
def test_gamma(gamma: float) -> None:
    logits, target = random_case()
    value = FocalLoss(gamma)(logits, target).item()
    assert value == pytest.approx(focal_reference(logits, target, gamma), rel=1e-9)
    if gamma == 0:
        assert value == pytest.approx(cross_entropy_reference(logits, target), rel=1e-9)
    grads = torch.autograd.grad(FocalLoss(gamma)(z := (logits * 1e4).requires_grad_(), target), z)
    assert torch.isfinite(grads[0]).all()


def test_goes_easy_on_right_pixels() -> None:
    """A pixel with p = 0.9 weighs 100 times less than in cross-entropy, as the paper says."""
    logits = torch.tensor([math.log(9), 0.0]).view(1, 2, 1, 1)
    target = torch.zeros(1, 1, 1, dtype=torch.long)
    ratio = FocalLoss()(logits, target) / FocalLoss(0.0)(logits, target)
    assert ratio.item() == pytest.approx(0.01, rel=1e-5)


@pytest.mark.parametrize(
    "options", [{"gamma": -1.0}, {"gamma": 0.5, "activation": "sigmoid"}, {"activation": "tanh"}]
)
def test_wrong_options(options: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="must be"):
        FocalLoss(**options)  # type: ignore[arg-type]


def test_against_monai_and_kornia() -> None:
    logits, target = random_case(void=False)
    logits = logits.float()
    monai = pytest.importorskip("monai.losses")
    kornia = pytest.importorskip("kornia.losses")
    classes = logits.shape[1]
    theirs = monai.FocalLoss(use_softmax=True, to_onehot_y=True, gamma=2.0, reduction="mean")
    softmax = FocalLoss()(logits, target)
    torch.testing.assert_close(theirs(logits, target[:, None]) * classes, softmax)
    torch.testing.assert_close(
        kornia.focal_loss(logits, target, alpha=None, gamma=2.0, reduction="mean") * classes,
        softmax,
    )
    theirs = monai.FocalLoss(use_softmax=False, to_onehot_y=True, gamma=2.0, reduction="mean")
    sigmoid = FocalLoss(activation="sigmoid")(logits, target)
    torch.testing.assert_close(theirs(logits, target[:, None]) * classes, sigmoid)


def test_against_wrapped_class_with_void() -> None:
    """Its own handling of void agrees with never showing it void."""
    from segmentation_models_pytorch import losses

    logits, target = random_case()
    theirs = losses.FocalLoss("multiclass", gamma=2.0, ignore_index=255)
    ours = FocalLoss(activation="sigmoid")(logits, target)
    torch.testing.assert_close(theirs(logits, target) * logits.shape[1], ours)
    assert theirs(logits, torch.full_like(target, 255)).isnan()  # why the base class catches it
