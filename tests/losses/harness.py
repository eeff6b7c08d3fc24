"""The checks that every loss must pass: subclass ``LossHarness`` and name the loss."""

import copy
from collections.abc import Callable
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor, nn

VOID = 255


def random_case(
    batch: int = 2, num_classes: int = 5, side: int = 7, *, void: bool = True, seed: int = 0
) -> tuple[Tensor, Tensor]:
    """Logits in float64 and labels of some of the classes, with void pixels."""
    generator = torch.Generator().manual_seed(seed)
    shape = (batch, num_classes, side, side + 1)
    logits = torch.randn(shape, generator=generator, dtype=torch.float64) * 2
    target = torch.randint(0, num_classes - 1, (batch, side, side + 1), generator=generator)
    if void:
        target[torch.rand(target.shape, generator=generator) < 0.2] = VOID
    return logits, target


def gradient(loss: Callable[[Tensor, Tensor], Tensor], logits: Tensor, target: Tensor) -> Tensor:
    leaf = logits.detach().clone().requires_grad_()
    (grad,) = torch.autograd.grad(loss(leaf, target), leaf)
    return grad


class LossHarness:
    """Checks shared by all losses ``(logits, target) -> scalar``."""

    loss_class: ClassVar[type[nn.Module]]
    options: ClassVar[dict[str, Any]] = {}
    #: Whether a whole batch's loss is the mean of its images' losses.
    additive = True

    def make(self, **options: Any) -> nn.Module:
        return self.loss_class(**{**self.options, **options})

    def reference(self, logits: Tensor, target: Tensor) -> float:
        raise NotImplementedError

    @pytest.mark.parametrize("seed", range(3))
    def test_reference(self, seed: int) -> None:
        logits, target = random_case(seed=seed)
        expected = self.reference(logits, target)
        assert self.make()(logits, target).item() == pytest.approx(expected, rel=1e-9)
        assert self.make()(logits.float(), target).item() == pytest.approx(expected, rel=1e-5)

    def test_gradcheck(self) -> None:
        logits, target = random_case(side=4)
        loss = self.make()
        assert torch.autograd.gradcheck(lambda z: loss(z, target), logits.requires_grad_())

    def test_void_changes_nothing(self) -> None:
        logits, target = random_case()
        changed = logits.clone()
        void = (target == VOID)[:, None].expand_as(logits)
        changed[void] = torch.randn(int(void.sum()), dtype=torch.float64) * 50
        loss = self.make()
        assert torch.equal(loss(logits, target), loss(changed, target))
        grad = gradient(loss, logits, target)
        assert torch.all(grad[void] == 0)
        assert torch.equal(grad, gradient(loss, changed, target))

    @pytest.mark.parametrize("label", [0, 2, VOID])
    def test_one_label(self, label: int) -> None:
        logits, target = random_case()
        target.fill_(label)
        assert torch.isfinite(self.make()(logits.float(), target))
        assert torch.isfinite(gradient(self.make(), logits.float(), target)).all()

    @pytest.mark.parametrize("num_classes", [2, 19, 21, 60])
    def test_fresh_softmax(self, num_classes: int) -> None:
        logits = torch.zeros(2, num_classes, 6, 6)
        target = torch.randint(0, num_classes, (2, 6, 6))
        assert torch.isfinite(self.make()(logits, target))
        assert torch.isfinite(gradient(self.make(), logits, target)).all()

    @pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
    def test_extreme_logits(self, dtype: torch.dtype) -> None:
        logits, target = random_case()
        logits = (logits.sign() * 1e4).to(dtype)
        assert torch.isfinite(self.make()(logits, target))
        assert torch.isfinite(gradient(self.make(), logits, target)).all()

    @pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
    def test_autocast(self, dtype: torch.dtype) -> None:
        logits, target = random_case()
        rounded = logits.to(dtype)
        loss = self.make()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            value = loss(rounded, target)
            grad = gradient(loss, rounded, target)
        assert value.dtype == torch.float32
        assert torch.equal(value, loss(rounded.float(), target))
        assert grad.dtype == dtype
        torch.testing.assert_close(grad, gradient(loss, rounded.float(), target).to(dtype))

    def test_compile(self) -> None:
        logits, target = random_case()
        loss = self.make()
        compiled = torch.compile(copy.deepcopy(loss), backend="aot_eager")
        torch.testing.assert_close(compiled(logits, target), loss(logits, target))
        torch.testing.assert_close(
            gradient(compiled, logits, target), gradient(loss, logits, target)
        )

    def test_batch_split(self) -> None:
        logits, target = random_case(batch=4, void=False)
        loss = self.make()
        parts = [loss(logits[i : i + 2], target[i : i + 2]) for i in (0, 2)]
        torch.testing.assert_close(torch.stack(parts).mean(), loss(logits, target))

    def test_no_gradient_needed(self) -> None:
        logits, target = random_case()
        with torch.no_grad():
            value = self.make()(logits, target)
        assert not value.requires_grad
        torch.testing.assert_close(value, self.make()(logits.requires_grad_(), target).detach())

    def test_upstream_factor(self) -> None:
        logits, target = random_case()
        loss = self.make()
        leaf = logits.clone().requires_grad_()
        (grad,) = torch.autograd.grad(3 * loss(leaf, target), leaf)
        torch.testing.assert_close(grad, 3 * gradient(loss, logits, target))

    def test_layouts(self) -> None:
        logits, target = random_case()
        value = self.make()(logits, target)
        torch.testing.assert_close(
            self.make()(logits.to(memory_format=torch.channels_last), target), value
        )
        torch.testing.assert_close(self.make()(logits, target.int()), value)

    @pytest.mark.parametrize(
        ("logits", "target", "message"),
        [
            (torch.zeros(2, 3, 4), torch.zeros(2, 4).long(), "B, C, H, W"),
            (torch.zeros(2, 3, 4, 4), torch.zeros(2, 4, 5).long(), "B, H, W"),
            (torch.zeros(2, 3, 4, 4), torch.zeros(2, 4, 4), "integer"),
            (torch.zeros(2, 3, 4, 4), torch.full((2, 4, 4), 3), "label 3, expected 0 to 2"),
            (torch.zeros(2, 3, 4, 4), torch.full((2, 4, 4), -1), "label -1"),
        ],
    )
    def test_wrong_input(self, logits: Tensor, target: Tensor, message: str) -> None:
        with pytest.raises(ValueError, match=message):
            self.make()(logits, target)

    def drive(self, loss: nn.Module, steps: int = 60) -> float:
        """Train a tiny net on one image pair; the share of right pixels at the end."""
        torch.manual_seed(0)
        target = torch.zeros(2, 12, 12, dtype=torch.long)
        target[0, 2:7, 3:9], target[1, 5:11, 1:6] = 1, 2
        images = torch.nn.functional.one_hot(target, 3).movedim(-1, 1).float()
        images += 0.1 * torch.randn_like(images)
        net = nn.Sequential(nn.Conv2d(3, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 3, 1))
        optimiser = torch.optim.Adam(net.parameters(), lr=0.02)
        for _ in range(steps):
            optimiser.zero_grad()
            loss(net(images), target).backward()
            optimiser.step()
        return float((net(images).argmax(1) == target).float().mean())
