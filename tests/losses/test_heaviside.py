"""Heaviside functions."""

from typing import Any

import pytest
import torch

from reproduce.losses import heaviside
from reproduce.losses.heaviside import dirac
from tests.losses.reference import heaviside_reference


@pytest.mark.parametrize("kind", ["mahf", "ahf", "hf", "hf_straight_through", "compact"])
@pytest.mark.parametrize("eps", [0.05, 0.5, 20.0])
def test_reference(kind: Any, eps: float) -> None:
    phi = torch.linspace(-0.5, 0.5, 101, dtype=torch.float64)
    expected = [heaviside_reference(z, kind, eps) for z in phi.tolist()]
    assert heaviside(phi, kind, eps).tolist() == pytest.approx(expected, abs=1e-12)


def test_exact_near_zero_in_float32() -> None:
    """The literal tanh form gives 0 here; so c1 would be 0/0 for a class nobody predicts."""
    value = heaviside(torch.tensor(-0.5)).item()
    assert value == pytest.approx(2.0611536e-9, rel=1e-5)


@pytest.mark.parametrize("kind", ["mahf", "ahf", "compact", "hf_straight_through"])
def test_dirac_is_the_derivative(kind: Any) -> None:
    phi = torch.linspace(-0.5, 0.5, 51, dtype=torch.float64, requires_grad=True)
    step = heaviside(phi, kind)
    (expected,) = torch.autograd.grad(step.sum(), phi)
    found = dirac(phi.detach(), step.detach(), kind)
    assert found is not None
    torch.testing.assert_close(found, expected)


def test_dirac_values_of_the_paper() -> None:
    """δ*(0) = 10 and its fast decay, for eps 1/20."""
    phi = torch.tensor([0.0, 0.1, 0.15, 0.2], dtype=torch.float64)
    found = dirac(phi, heaviside(phi))
    assert found is not None
    assert found.tolist() == pytest.approx([10, 0.71, 0.099, 0.013], rel=0.04)
    assert dirac(phi, heaviside(phi, "hf"), "hf") is None
