"""Mumford-Shah loss."""

import pytest
import torch
from torch import Tensor

from reproduce.losses import MumfordShahLoss
from tests.losses.harness import random_case
from tests.losses.rival_harness import RivalHarness
from tests.losses.rivals_reference import mumford_shah_reference


class TestMumfordShahLoss(RivalHarness):
    loss_class = MumfordShahLoss
    sufficient = False

    def reference(self, logits: Tensor, target: Tensor) -> float:
        return mumford_shah_reference(logits, target, lam=1e-3)


def test_large_variation() -> None:
    logits, target = random_case()
    expected = mumford_shah_reference(logits, target, lam=0.3)
    assert MumfordShahLoss(lam=0.3)(logits, target).item() == pytest.approx(expected, rel=1e-9)


def test_blind_to_an_exchange_of_classes() -> None:
    """Why it needs cross-entropy beside it."""
    logits, target = random_case()
    loss = MumfordShahLoss()
    torch.testing.assert_close(loss(logits.flip(1), target), loss(logits, target))


def test_flat_maps_have_the_impurity_of_the_labels() -> None:
    logits, target = random_case(batch=1, void=False)
    share = torch.bincount(target.flatten()) / target.numel()
    flat = MumfordShahLoss()(logits * 0, target)
    assert flat.item() == pytest.approx(1 - (share**2).sum().item(), rel=1e-6)


def test_wrong_options() -> None:
    with pytest.raises(ValueError, match="at least 0"):
        MumfordShahLoss(lam=-1)
