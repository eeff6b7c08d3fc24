"""The energy and its module."""

import math

import pytest
import torch
from torch import Tensor, nn

from reproduce.losses import LevelSetLoss, heaviside, level_set_energy
from tests.losses.harness import VOID, LossHarness, gradient, random_case
from tests.losses.reference import energy_reference


class TestLevelSetLoss(LossHarness):
    loss_class = LevelSetLoss

    def reference(self, logits: Tensor, target: Tensor) -> float:
        energies = energy_reference(logits, target)
        return math.fsum(energies) / len(energies)

    def test_refines_but_cannot_choose_the_sign(self) -> None:
        """From a fair start the energy alone segments up to the inversion of the mask."""
        target = torch.zeros(1, 12, 12, dtype=torch.long)
        target[0, 3:8, 3:8] = 1
        for sign in (1, -1):
            logits = torch.zeros(1, 2, 12, 12)
            logits[:, 1] = sign * (target - 0.5) * 0.4
            logits.requires_grad_()
            optimiser = torch.optim.Adam([logits], lr=0.05)
            for _ in range(60):
                optimiser.zero_grad()
                level_set_energy(logits, target).sum().backward()
                optimiser.step()
            right = (logits.argmax(1) == target).float().mean().item()
            assert right == (1.0 if sign == 1 else 0.0)
            assert level_set_energy(logits, target).item() < 0.01


@pytest.mark.parametrize("kind", ["mahf", "ahf", "hf"])
@pytest.mark.parametrize("eps", [0.05, 1.0])
def test_energy_of_each_image(kind: str, eps: float) -> None:
    logits, target = random_case(batch=3)
    found = level_set_energy(logits, target, eps=eps, kind=kind)  # type: ignore[arg-type]
    expected = energy_reference(logits, target, eps, kind)
    assert found.tolist() == pytest.approx(expected, rel=1e-9)


def test_closed_form() -> None:
    """E = n - a²/b - (n - a)²/(N - b) with a = ΣGH, b = ΣH, n = ΣG."""
    logits, target = random_case(batch=1, void=False)
    h = heaviside(logits.softmax(1)[0] - 0.5)
    total = 0.0
    for label in target.unique():
        g = (target[0] == label).double()
        a, b, n = (g * h[label]).sum(), h[label].sum(), g.sum()
        total += (n - a**2 / b - (n - a) ** 2 / (g.numel() - b)).item()
    assert level_set_energy(logits, target).item() == pytest.approx(total, rel=1e-9)


def test_gradient_is_equation_7() -> None:
    """With c1 and c2 held fixed the derivative is the whole one."""
    logits, target = random_case(batch=1, void=False)
    logits.requires_grad_()
    probability = logits.softmax(1)[0]
    (grad,) = torch.autograd.grad(level_set_energy(logits, target).sum(), logits)
    upstream = torch.zeros_like(probability)
    for label in target.unique():
        g = (target[0] == label).double()
        phi = probability[label].detach() - 0.5
        h = heaviside(phi)
        c1, c2 = (g * h).sum() / h.sum(), (g * (1 - h)).sum() / (1 - h).sum()
        delta = (1 - torch.tanh(phi / 0.05)) * (1 + torch.tanh(phi / 0.05)) / (2 * 0.05)
        upstream[label] = delta * ((g - c1) ** 2 - (g - c2) ** 2)
    (expected,) = torch.autograd.grad(probability, logits, upstream)
    torch.testing.assert_close(grad, expected)


def test_inversion_and_permutation() -> None:
    logits, target = random_case(num_classes=2)
    target[target == 1] = 0
    target[:, :3] = 1
    energy = level_set_energy(logits, target)
    torch.testing.assert_close(level_set_energy(logits.flip(1), target), energy)
    logits, target = random_case(num_classes=4)
    order = torch.tensor([2, 0, 3, 1])
    renamed = target.clone()
    for new, old in enumerate(order.tolist()):
        renamed[target == old] = new
    torch.testing.assert_close(
        level_set_energy(logits[:, order], renamed), level_set_energy(logits, target)
    )


def test_bounds() -> None:
    """0 ≤ E_l ≤ n(N - n)/N, and a constant map has the most."""
    _, target = random_case(batch=1)
    counts = target[target != VOID].unique(return_counts=True)[1].double()
    most = (counts * (counts.sum() - counts) / counts.sum()).sum().item()
    flat = torch.zeros(1, 5, *target.shape[1:], dtype=torch.float64)
    assert level_set_energy(flat, target).item() == pytest.approx(most, rel=1e-9)
    for seed in range(5):
        energy = level_set_energy(random_case(batch=1, seed=seed)[0] * 5, target).item()
        assert 0 <= energy <= most


def test_hard_step_has_no_gradient() -> None:
    logits, target = random_case()
    loss = LevelSetLoss(kind="hf")
    leaf = logits.requires_grad_()
    value = loss(leaf, target)
    assert not value.requires_grad or torch.all(torch.autograd.grad(value, leaf)[0] == 0)


def test_reference_area_makes_resolution_irrelevant() -> None:
    logits, target = random_case()
    twice = logits.repeat_interleave(2, 2).repeat_interleave(2, 3)
    target_twice = target.repeat_interleave(2, 1).repeat_interleave(2, 2)
    scaled, plain = LevelSetLoss(reference_area=4096), LevelSetLoss()
    torch.testing.assert_close(scaled(twice, target_twice), scaled(logits, target))
    torch.testing.assert_close(plain(twice, target_twice), 4 * plain(logits, target))
    valid = (target != VOID).flatten(1).sum(1)
    expected = (level_set_energy(logits, target) * 4096 / valid).mean()
    torch.testing.assert_close(scaled(logits, target), expected)


@pytest.mark.parametrize(
    "options", [{"eps": 0.0}, {"eps": -1.0}, {"kind": "tanh"}, {"reference_area": 0}]
)
def test_wrong_options(options: dict[str, float | str]) -> None:
    with pytest.raises(ValueError, match="must be"):
        LevelSetLoss(**options)  # type: ignore[arg-type]


def test_needs_no_lightning() -> None:
    """The loss alone loads neither lightning nor torchvision."""
    import subprocess
    import sys

    code = "import reproduce.losses, sys; print({'lightning', 'torchvision'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_module_prints_its_options() -> None:
    assert isinstance(LevelSetLoss(), nn.Module)
    assert "eps=0.05, kind='mahf'" in str(LevelSetLoss())
    assert gradient(LevelSetLoss(), *random_case()).abs().sum() > 0
