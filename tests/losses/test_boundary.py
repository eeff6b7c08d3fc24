"""Boundary loss and its distances."""

import pytest
import torch
from torch import Tensor

from reproduce.losses import BoundaryLoss
from reproduce.losses.boundary import signed_distances
from tests.losses.harness import random_case
from tests.losses.rival_harness import RivalHarness
from tests.losses.rivals_reference import boundary_reference


class TestBoundaryLoss(RivalHarness):
    loss_class = BoundaryLoss

    def reference(self, logits: Tensor, target: Tensor) -> float:
        return boundary_reference(logits, target)


def test_distances_across_void() -> None:
    labels = torch.tensor([[[0, 0, 0, 1, 1]]])
    valid = torch.tensor([[[True, True, False, True, True]]])
    found = signed_distances(labels, valid, 3)[0, :, 0]
    assert found[0].tolist() == [-2, -1, 0, 2, 3]
    assert found[1].tolist() == [3, 2, 0, -1, -2]
    assert found[2].abs().sum() == 0


def test_class_without_boundary() -> None:
    labels, valid = torch.ones(1, 4, 4, dtype=torch.long), torch.ones(1, 4, 4, dtype=torch.bool)
    assert signed_distances(labels, valid, 2).abs().sum() == 0


def test_least_where_the_labels_are() -> None:
    _, target = random_case(void=False)
    right = torch.nn.functional.one_hot(target, 5).movedim(-1, 1) * 100.0
    best = BoundaryLoss()(right, target)
    assert best <= 0
    for seed in range(5):
        assert (
            BoundaryLoss()(random_case(seed=seed)[0][..., :4].float(), target[..., :4]) > 0 >= best
        )


def test_against_monai() -> None:
    monai = pytest.importorskip("monai.losses")
    logits, target = random_case(void=False)
    theirs = monai.BoundaryLoss(softmax=True, to_onehot_y=True)(logits, target[:, None])
    torch.testing.assert_close(BoundaryLoss()(logits, target), theirs * logits.shape[1])
