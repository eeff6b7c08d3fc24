"""Cross-entropy beside a rival, also from a configuration."""

from typing import ClassVar

import pytest
import torch
from jsonargparse import ArgumentParser
from torch import Tensor, nn

import reproduce.losses
from reproduce.losses import CombinedLoss, DiceLoss, LevelSetLoss, LossMaxPooling, LovaszLoss
from reproduce.losses.combined import CrossEntropyLoss
from reproduce.losses.rival import RivalLoss
from tests.losses.harness import VOID, LossHarness, random_case
from tests.losses.reference import cross_entropy_reference
from tests.losses.rivals_reference import dice_reference

RIVALS = [
    value
    for value in vars(reproduce.losses).values()
    if isinstance(value, type) and issubclass(value, RivalLoss)
]


class TestCombinedLoss(LossHarness):
    loss_class = CombinedLoss
    options: ClassVar = {"rival": DiceLoss(), "weight": 0.5}

    def reference(self, logits: Tensor, target: Tensor) -> float:
        return cross_entropy_reference(logits, target) + 0.5 * dice_reference(logits, target)

    def test_batch_split(self) -> None:
        """Dice takes the batch as one."""


def test_cross_entropy() -> None:
    logits, target = random_case()
    expected = cross_entropy_reference(logits, target)
    assert CrossEntropyLoss()(logits, target).item() == pytest.approx(expected, rel=1e-9)
    target.fill_(VOID)
    assert CombinedLoss(DiceLoss())(logits, target).item() == 0


def test_rival_alone() -> None:
    logits, target = random_case()
    alone = CombinedLoss(LossMaxPooling(), weight=2, cross_entropy=False)
    torch.testing.assert_close(alone(logits, target), 2 * LossMaxPooling()(logits, target))


def test_any_module_is_a_rival() -> None:
    logits, target = random_case()
    combined = CombinedLoss(LevelSetLoss(), weight=4e-4)(logits, target)
    expected = nn.CrossEntropyLoss(ignore_index=255)(logits, target)
    torch.testing.assert_close(combined, expected + 4e-4 * LevelSetLoss()(logits, target))


def test_wrong_options() -> None:
    with pytest.raises(ValueError, match="ignore_index is 255, but 0 in LovaszLoss"):
        CombinedLoss(LovaszLoss(ignore_index=0))
    with pytest.raises(ValueError, match="at least 0"):
        CombinedLoss(LovaszLoss(), weight=-1)


@pytest.mark.parametrize("rival", RIVALS, ids=lambda rival: rival.__name__)
def test_from_yaml(rival: type[RivalLoss]) -> None:
    parser = ArgumentParser()
    parser.add_argument("--criterion", type=nn.Module)
    config = parser.parse_object(
        {
            "criterion": {
                "class_path": "reproduce.losses.CombinedLoss",
                "init_args": {
                    "rival": {"class_path": f"reproduce.losses.{rival.__name__}"},
                    "weight": rival.recommended_weight,
                    "cross_entropy": not rival.replaces_cross_entropy,
                },
            }
        }
    )
    criterion = parser.instantiate_classes(config).criterion
    assert isinstance(criterion, CombinedLoss)
    assert isinstance(criterion.rival, rival)
    assert torch.isfinite(criterion(*random_case()))


def test_every_rival_is_here() -> None:
    assert len(RIVALS) == 10
    assert {r.__name__ for r in RIVALS if r.replaces_cross_entropy} == {
        "FocalLoss",
        "LossMaxPooling",
        "AdaptiveLearningLoss",
    }
    assert all(r.recommended_weight == 1 for r in RIVALS if r.replaces_cross_entropy)
