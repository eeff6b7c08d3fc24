"""The checks of every rival, beside those of every loss."""

from typing import ClassVar

import pytest
import torch

from reproduce.losses import CombinedLoss
from reproduce.losses.rival import RivalLoss
from tests.losses.harness import VOID, LossHarness, gradient, random_case


class RivalHarness(LossHarness):
    """Checks shared by the subclasses of ``RivalLoss``."""

    loss_class: ClassVar[type[RivalLoss]]
    #: Whether the loss alone leads free logits to the labels.
    sufficient = True

    def make(self, **options: object) -> RivalLoss:
        return self.loss_class(**{**self.options, **options})

    def test_gradcheck(self) -> None:
        logits, target = random_case(num_classes=3, side=3)
        loss = self.make()
        assert torch.autograd.gradcheck(lambda z: loss(z, target), logits.requires_grad_())

    def test_batch_split(self) -> None:
        """The mean of two batches, or at least the same loss for a batch that is there twice."""
        if self.additive:
            super().test_batch_split()
        else:
            logits, target = random_case()
            twice = self.make()(logits.repeat(2, 1, 1, 1), target.repeat(2, 1, 1))
            torch.testing.assert_close(twice, self.make()(logits, target))

    @pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
    def test_all_void_is_zero(self, dtype: torch.dtype) -> None:
        logits, target = random_case()
        target.fill_(VOID)
        value = self.make()(logits.to(dtype), target)
        assert value.shape == ()
        assert value.dtype == torch.promote_types(dtype, torch.float32)
        assert value.item() == 0
        assert torch.all(gradient(self.make(), logits.to(dtype), target) == 0)

    def test_void_image_in_a_batch(self) -> None:
        logits, target = random_case()
        target[0] = VOID
        assert torch.isfinite(self.make()(logits, target))
        assert torch.all(gradient(self.make(), logits, target)[0] == 0)

    def test_nan_under_void(self) -> None:
        logits, target = random_case()
        value, grad = self.make()(logits, target), gradient(self.make(), logits, target)
        logits[(target == VOID)[:, None].expand_as(logits)] = torch.nan
        assert torch.equal(self.make()(logits, target), value)
        assert torch.equal(gradient(self.make(), logits, target), grad)

    def test_other_void_label(self) -> None:
        """Void may be any label, also that of a class."""
        logits, target = random_case()
        value = self.make()(logits, target)
        for label in (-1, 4):  # nothing is of class 4
            other = target.masked_fill(target == VOID, label)
            assert torch.equal(self.make(ignore_index=label)(logits, other), value)

    def test_drives_logits_to_the_labels(self) -> None:
        generator = torch.Generator().manual_seed(0)
        target = torch.zeros(1, 8, 8, dtype=torch.long)
        target[0, 1:6, 1:4], target[0, 3:7, 4:8] = 1, 2
        logits = (torch.randn(1, 3, 8, 8, generator=generator) / 2).requires_grad_()
        loss = self.make() if self.sufficient else self.combined()
        optimiser = torch.optim.Adam([logits], lr=0.2)
        first = loss(logits, target).item()
        for _ in range(80):
            optimiser.zero_grad()
            loss(logits, target).backward()
            optimiser.step()
        assert torch.equal(logits.argmax(1), target)
        assert loss(logits, target).item() < first

    def combined(self) -> CombinedLoss:
        """The loss as it is meant to be used."""
        alone = self.loss_class.replaces_cross_entropy
        return CombinedLoss(self.make(), self.loss_class.recommended_weight, not alone)

    def test_drives_a_tiny_net(self) -> None:
        assert self.drive(self.combined(), steps=80) == 1

    def test_prints_its_options(self) -> None:
        assert "ignore_index=255" in str(self.make())
