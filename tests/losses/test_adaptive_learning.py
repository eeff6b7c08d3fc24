"""Locally adaptive learning loss, as reconstructed."""

from typing import ClassVar

import pytest
import torch
from torch import Tensor

from reproduce.losses import AdaptiveLearningLoss
from reproduce.losses.adaptive_learning import minkowski_pool
from tests.losses.harness import random_case
from tests.losses.reference import cross_entropy_reference
from tests.losses.rival_harness import RivalHarness
from tests.losses.rivals_reference import adaptive_reference, cross_entropies


class TestAdaptiveLearningLoss(RivalHarness):
    loss_class = AdaptiveLearningLoss
    options: ClassVar = {"window": 3}
    additive = False

    def reference(self, logits: Tensor, target: Tensor) -> float:
        return adaptive_reference(logits, target, 3, 1, 0.75, 5, "logits")


@pytest.mark.parametrize(
    ("window", "stride", "sigma", "k", "merge"),
    [
        (7, 1, 1.75, 5.0, "logits"),
        (7, 3, 1.75, 5.0, "logits"),
        (5, 2, 0.5, 1.0, "probabilities"),
        (1, 1, 1.0, 3.5, "probabilities"),
    ],
)
def test_options(window: int, stride: int, sigma: float, k: float, merge: str) -> None:
    logits, target = random_case()
    loss = AdaptiveLearningLoss(window, stride, sigma, k, merge)  # type: ignore[arg-type]
    expected = adaptive_reference(logits, target, window, stride, sigma, k, merge)
    assert loss(logits, target).item() == pytest.approx(expected, rel=1e-9)
    logits, target = random_case(batch=1, num_classes=3, side=4)
    assert torch.autograd.gradcheck(lambda z: loss(z, target), logits.requires_grad_())


def test_default_sigma() -> None:
    assert AdaptiveLearningLoss().sigma == 7 / 4


def test_one_pixel_windows() -> None:
    """Without neighbours and with k = 1 it is cross-entropy; a large k tends to the maximum."""
    logits, target = random_case()
    plain = AdaptiveLearningLoss(window=1, k=1)(logits, target)
    assert plain.item() == pytest.approx(cross_entropy_reference(logits, target), rel=1e-9)
    worst = AdaptiveLearningLoss(window=1, k=2000)(logits, target)
    assert worst.item() == pytest.approx(max(cross_entropies(logits, target)), rel=1e-2)


def test_no_valid_centre() -> None:
    logits, target = random_case(batch=1)
    target.fill_(255)
    target[0, 1, 1] = 2
    assert AdaptiveLearningLoss(stride=3)(logits, target).item() == 0


def test_pooling_of_zeros_and_of_large_losses() -> None:
    zeros = torch.zeros(3, requires_grad=True)
    assert torch.equal(torch.autograd.grad(minkowski_pool(zeros, 5), zeros)[0], torch.zeros(3))
    assert minkowski_pool(torch.tensor([1e30, 1e30]), 5).item() == pytest.approx(1e30)


@pytest.mark.parametrize(
    "options", [{"window": 4}, {"stride": 0}, {"k": 0.5}, {"sigma": 0.0}, {"merge": "labels"}]
)
def test_wrong_options(options: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="must be"):
        AdaptiveLearningLoss(**options)  # type: ignore[arg-type]
