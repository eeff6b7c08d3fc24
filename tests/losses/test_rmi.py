"""Region mutual information loss."""

from typing import ClassVar

import pytest
import torch
from torch import Tensor

from reproduce.losses import RMILoss
from reproduce.losses.rmi import pool_valid
from tests.losses.harness import VOID, random_case
from tests.losses.rival_harness import RivalHarness
from tests.losses.rivals_reference import rmi_reference


class TestRMILoss(RivalHarness):
    loss_class = RMILoss
    options: ClassVar = {"pool": 1, "radius": 2}
    sufficient = False

    def reference(self, logits: Tensor, target: Tensor) -> float:
        return rmi_reference(logits, target, radius=2, pool=1, ridge=5e-4)


@pytest.mark.parametrize(
    ("radius", "pool", "ridge"), [(3, 3, 5e-4), (3, 2, 1e-2), (1, 4, 5e-4), (3, 1, 5e-4)]
)
def test_options(radius: int, pool: int, ridge: float) -> None:
    logits, target = random_case(side=17)
    target[0, :5, :7] = VOID  # whole cells
    expected = rmi_reference(logits, target, radius, pool, ridge)
    found = RMILoss(radius, pool, ridge)
    assert found(logits, target).item() == pytest.approx(expected, rel=1e-8)
    assert found(logits.float(), target).item() == pytest.approx(expected, rel=1e-4)


def test_pool_of_valid_pixels() -> None:
    maps = torch.tensor([[[[1.0, 3.0, 5.0], [7.0, 9.0, 11.0]]]])
    valid = torch.tensor([[[True, True, False], [False, True, False]]])
    means, known = pool_valid(maps, valid, 2)
    assert means.tolist() == [[[[pytest.approx(13 / 3), 0]]]]
    assert known.tolist() == [[[True, False]]]


def test_blind_to_the_sign() -> None:
    """Why it needs cross-entropy beside it: of two classes, the exchange explains as much."""
    logits, target = random_case(num_classes=2)
    target[:, :3], target[target == 0] = 1, 0
    loss = RMILoss(pool=1)
    torch.testing.assert_close(loss(-logits, target), loss(logits, target))


def test_least_value() -> None:
    """The right maps leave little open, and nothing is below 0."""
    target = torch.zeros(1, 24, 24, dtype=torch.long)
    target[:, 5:15, 7:20] = 1
    right = torch.nn.functional.one_hot(target, 2).movedim(-1, 1) * 30.0
    flat = RMILoss()(right * 0, target)
    assert 0 <= RMILoss()(right, target) < 0.2 * flat


def test_small_map() -> None:
    logits, target = random_case()
    assert RMILoss(pool=4)(logits, target).item() == 0


@pytest.mark.parametrize("options", [{"radius": 0}, {"pool": 0}, {"ridge": 0.0}])
def test_wrong_options(options: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="must be"):
        RMILoss(**options)  # type: ignore[arg-type]
