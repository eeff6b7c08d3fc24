"""Cross-entropy and energy in one pass."""

import math
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from reproduce.losses import CrossEntropyLevelSetLoss, LevelSetLoss, Reading, fused
from tests.losses.harness import LossHarness, gradient, random_case
from tests.losses.reference import cross_entropy_reference, energy_reference

LAM = 0.03


class TestCrossEntropyLevelSetLoss(LossHarness):
    loss_class = CrossEntropyLevelSetLoss
    options: ClassVar[dict[str, Any]] = {"lam": LAM}

    def reference(self, logits: Tensor, target: Tensor) -> float:
        energy = math.fsum(energy_reference(logits, target)) / len(logits)
        return cross_entropy_reference(logits, target) + LAM * energy

    def test_drives_a_net_to_perfect(self) -> None:
        assert self.drive(CrossEntropyLevelSetLoss(reference_area=4096)) == 1.0


@pytest.mark.parametrize("kind", ["mahf", "ahf", "hf"])
@pytest.mark.parametrize("area", [None, 4096])
@pytest.mark.parametrize("chunk", [1, 2**20])
def test_equals_its_parts(
    kind: Any, area: float | None, chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Value and gradient, whatever the size of the pieces it works in."""
    monkeypatch.setattr(fused, "CHUNK", chunk)
    logits, target = random_case(batch=3)

    class Parts(LevelSetLoss):
        def forward(self, z: Tensor, t: Tensor) -> Tensor:
            return F.cross_entropy(z, t, ignore_index=255) + LAM * super().forward(z, t)

    ours = CrossEntropyLevelSetLoss(LAM, kind=kind, reference_area=area)
    parts = Parts(kind=kind, reference_area=area)
    torch.testing.assert_close(ours(logits, target), parts(logits, target))
    torch.testing.assert_close(gradient(ours, logits, target), gradient(parts, logits, target))


def test_terms() -> None:
    logits, target = random_case()
    terms = CrossEntropyLevelSetLoss(LAM).terms(logits, target)
    cross_entropy = F.cross_entropy(logits, target, ignore_index=255)
    torch.testing.assert_close(terms.cross_entropy, cross_entropy)
    torch.testing.assert_close(terms.level_set, LevelSetLoss()(logits, target))
    torch.testing.assert_close(terms.loss, terms.cross_entropy + LAM * terms.level_set)
    assert not terms.level_set.requires_grad


def test_all_void_is_zero() -> None:
    logits = torch.randn(1, 3, 4, 4, requires_grad=True)
    value = CrossEntropyLevelSetLoss()(logits, torch.full((1, 4, 4), 255))
    value.backward()
    assert value.item() == 0
    assert logits.grad is not None
    assert torch.all(logits.grad == 0)


def test_backward_twice() -> None:
    """The stored gradient survives a backward pass and accumulation."""
    logits, target = random_case()
    leaf = logits.clone().requires_grad_()
    value = CrossEntropyLevelSetLoss()(leaf, target)
    value.backward(retain_graph=True)
    first = leaf.grad.clone() if leaf.grad is not None else torch.empty(0)
    value.backward()
    torch.testing.assert_close(leaf.grad, 2 * first)


def test_gradient_scaler_keeps_small_gradients() -> None:
    """float16 gradients are rounded after the factor of a scaler."""
    logits = torch.randn(1, 3, 256, 256).half().requires_grad_()
    target = torch.randint(0, 3, (1, 256, 256))
    (CrossEntropyLevelSetLoss(lam=0)(logits, target) * 65536).backward()
    exact = logits.detach().float().requires_grad_()
    (F.cross_entropy(exact, target) * 65536).backward()
    assert logits.grad is not None
    assert exact.grad is not None
    torch.testing.assert_close(logits.grad, exact.grad.half(), rtol=2e-3, atol=1e-5)


def test_wrong_lam() -> None:
    with pytest.raises(ValueError, match="lam must be"):
        CrossEntropyLevelSetLoss(lam=-1)


def test_has_the_default_reading_only() -> None:
    """Nothing that it would not heed can be set on it."""
    assert not isinstance(CrossEntropyLevelSetLoss(), LevelSetLoss)
    with pytest.raises(TypeError, match="reading"):
        CrossEntropyLevelSetLoss(reading=Reading(means="batch"))  # type: ignore[call-arg]
    assert "lam=0.0004, eps=0.05, kind='mahf'" in str(CrossEntropyLevelSetLoss())
