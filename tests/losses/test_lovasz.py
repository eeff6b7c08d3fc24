"""Lovász-Softmax loss."""

import pytest
import torch
from torch import Tensor

from reproduce.losses import LovaszLoss
from reproduce.losses.lovasz import jaccard_steps
from tests.losses.harness import VOID, random_case
from tests.losses.rival_harness import RivalHarness
from tests.losses.rivals_reference import lovasz_reference


class TestLovaszLoss(RivalHarness):
    loss_class = LovaszLoss
    additive = False

    def reference(self, logits: Tensor, target: Tensor) -> float:
        return lovasz_reference(logits, target)


def test_hard_predictions_have_their_jaccard_loss() -> None:
    """At the corners of the cube the extension is the set function: 1 - IoU."""
    target = random_case(void=False)[1]
    guess = random_case(void=False, seed=1)[1]
    logits = torch.nn.functional.one_hot(guess, 5).movedim(-1, 1) * 1e3
    jaccard = [
        1 - ((guess == k) & (target == k)).sum() / ((guess == k) | (target == k)).sum()
        for k in target.unique()
    ]
    torch.testing.assert_close(LovaszLoss()(logits, target), torch.stack(jaccard).mean())


def test_steps_of_a_million_pixels() -> None:
    inside = torch.rand(2**20, generator=torch.Generator().manual_seed(0)) < 0.3
    steps = jaccard_steps(inside)
    assert steps.sum().item() == pytest.approx(1, rel=1e-12)
    assert steps.min().item() >= 0


def test_against_others() -> None:
    from segmentation_models_pytorch import losses

    logits, target = random_case()
    theirs = losses.LovaszLoss("multiclass", ignore_index=VOID)
    torch.testing.assert_close(LovaszLoss()(logits.float(), target), theirs(logits.float(), target))
    assert theirs(logits.float(), torch.full_like(target, VOID)).shape == (0, 5)  # why not wrapped
    kornia = pytest.importorskip("kornia.losses")
    logits, target = random_case(void=False, batch=1)
    logits = logits[:, :4]  # it takes all classes
    torch.testing.assert_close(
        kornia.lovasz_softmax_loss(logits, target), LovaszLoss()(logits, target)
    )
