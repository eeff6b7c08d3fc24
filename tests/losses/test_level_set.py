"""The energy and its module."""

import math

import pytest
import torch
from torch import Tensor, nn

from reproduce.losses import LevelSetLoss, Reading, heaviside, level_set_energy
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


def test_readings_against_the_reference() -> None:
    """Each reading as the default energy of other inputs, or summed by hand."""
    logits, target = random_case(batch=3)
    batch, classes = logits.shape[:2]

    def read(**answers: str) -> Tensor:
        return level_set_energy(logits, target, reading=Reading(**answers))  # type: ignore[arg-type]

    tall = logits.transpose(0, 1).reshape(1, classes, -1, logits.shape[-1])
    assert read(means="batch").tolist() == pytest.approx(
        energy_reference(tall, target.reshape(1, -1, target.shape[-1])), rel=1e-9
    )
    # A sigmoid of z is the softmax of (z, 0): one two-class problem for each class.
    expected = torch.zeros(batch, dtype=torch.float64)
    for label in range(classes):
        pair = torch.stack([logits[:, label], torch.zeros_like(logits[:, label])], 1)
        binary = torch.where(target == VOID, VOID, (target != label).long())
        for i in range(batch):
            if (target[i] == label).any():  # both maps of a pair have the same energy
                expected[i] += energy_reference(pair[i : i + 1], binary[i : i + 1])[0] / 2
    torch.testing.assert_close(read(probability="sigmoid"), expected)
    background = torch.zeros(batch, dtype=torch.float64)
    h = heaviside(logits.softmax(1)[:, 0] - 0.5)
    for i in range(batch):
        valid = target[i] != VOID
        g, step = (target[i] == 0)[valid].double(), h[i][valid]
        if g.any():
            c1, c2 = (g * step).sum() / step.sum(), (g * (1 - step)).sum() / (1 - step).sum()
            background[i] = ((g - c1) ** 2 * step + (g - c2) ** 2 * (1 - step)).sum()
    torch.testing.assert_close(read(classes="foreground"), read() - background)


def test_void_as_outside() -> None:
    """Void counts like pixels of one more class that itself is not summed over."""
    logits, target = random_case(batch=2)
    other = target.masked_fill(target == VOID, logits.shape[1])
    wide = torch.cat([logits, torch.full_like(logits[:, :1], -1e4)], 1)
    extra = Reading(void="outside")
    found = level_set_energy(logits, target, reading=extra)
    full = level_set_energy(wide, other)
    # The class that void became has H(-1/2) everywhere, so c1 = c2 and E = n (N - n) / N.
    n, size = (target == VOID).flatten(1).sum(1).double(), target[0].numel()
    torch.testing.assert_close(found, full - n * (size - n) / size)


def test_scale_of_readings() -> None:
    logits, target = random_case(batch=3)
    for reading in (Reading(means="batch"), Reading(void="outside")):
        energy = level_set_energy(logits, target, reading=reading)
        plain = LevelSetLoss(reading=reading)(logits, target)
        assert plain.item() == pytest.approx(energy.sum().item() / 3)
    scaled = LevelSetLoss(reference_area=7.0, reading=Reading(means="batch"))(logits, target)
    total = level_set_energy(logits, target, reading=Reading(means="batch"))
    assert scaled.item() == pytest.approx(7 * total.item() / (target != VOID).sum().item())


def test_unknown_reading() -> None:
    with pytest.raises(ValueError, match="means must be one of image, batch, got 'epoch'"):
        Reading(means="epoch")  # type: ignore[arg-type]
