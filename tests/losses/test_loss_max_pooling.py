"""Loss max-pooling."""

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from torch import Tensor

from reproduce.losses import LossMaxPooling
from reproduce.losses.loss_max_pooling import pooling_weights
from tests.losses.harness import VOID, random_case
from tests.losses.reference import cross_entropy_reference
from tests.losses.rival_harness import RivalHarness
from tests.losses.rivals_reference import (
    max_pooling_reference,
    max_pooling_weights_reference,
)


class TestLossMaxPooling(RivalHarness):
    loss_class = LossMaxPooling
    additive = False

    def reference(self, logits: Tensor, target: Tensor) -> float:
        return max_pooling_reference(logits, target, ratio=0.3, p=1.7)


def some_losses(n: int = 14, seed: int = 0) -> Tensor:
    return torch.rand(n, generator=torch.Generator().manual_seed(seed)).double() ** 2 * 4


@pytest.mark.parametrize("ratio", [0.05, 0.3, 0.9])
@pytest.mark.parametrize("p", [1.3, 1.7, 4.0])
def test_against_a_numerical_optimiser(ratio: float, p: float) -> None:
    losses = some_losses()
    n, q = len(losses), p / (p - 1)
    gamma, tau = n ** (-1 / q), n ** (-1 / q) * (ratio * n) ** (-1 / p)
    best = minimize(
        lambda w: -float(w @ losses.numpy()),
        np.full(n, 1 / n),
        jac=lambda _: -losses.numpy(),
        bounds=[(0, tau)] * n,
        constraints={"type": "ineq", "fun": lambda w: 1 - ((w / gamma) ** p).sum()},
        method="SLSQP",
        options={"ftol": 1e-12, "maxiter": 500},
    )
    ours = (pooling_weights(losses, ratio, p) * losses).sum().item()
    assert ours == pytest.approx(-best.fun, rel=1e-4)


@pytest.mark.parametrize("ratio", [0.01, 0.3, 1 / 3, 0.77, 1.0])
@pytest.mark.parametrize("p", [1.05, 1.7, 10.0])
@pytest.mark.parametrize("n", [1, 2, 9, 200])
def test_bounds_hold_exactly(ratio: float, p: float, n: int) -> None:
    """No off-by-one: the p-norm is used up, and not exceeded."""
    losses = some_losses(n)
    w = pooling_weights(losses, ratio, p)
    q, m = p / (p - 1), ratio * n
    assert (w**p).sum().item() ** (1 / p) == pytest.approx(n ** (-1 / q), rel=1e-9)
    assert w.max().item() <= n ** (-1 / q) * m ** (-1 / p) * (1 + 1e-12)
    expected = max_pooling_weights_reference(losses.tolist(), ratio, p)
    assert w.tolist() == pytest.approx(expected, rel=1e-6, abs=1e-12)


def test_pixels_without_loss_shift_nothing() -> None:
    """Weights follow the order of the losses, whatever number of them is 0."""
    for zeros in (1, 5, 12, 14):
        losses = some_losses()
        losses[torch.randperm(14, generator=torch.Generator().manual_seed(1))[:zeros]] = 0
        w = pooling_weights(losses, 0.3, 1.7)
        assert torch.all(w[losses == 0] == 0)
        assert torch.all(w[losses > 0] > 0)
        order = losses.argsort()
        assert torch.all(w[order].diff() >= 0)
        if 14 - zeros <= 0.3 * 14:  # too few to use up the norm: all have the largest weight
            q, m = 1.7 / 0.7, 0.3 * 14
            tau = 14 ** (-1 / q) * m ** (-1 / 1.7)
            assert w[losses > 0].tolist() == pytest.approx([tau] * (14 - zeros))


def test_at_least_the_mean() -> None:
    for seed in range(5):
        logits, target = random_case(seed=seed)
        entropy = cross_entropy_reference(logits, target)
        values = [LossMaxPooling(r, 1.7)(logits, target).item() for r in (1.0, 0.6, 0.3, 0.05)]
        assert values[0] == pytest.approx(entropy, rel=1e-9)
        assert values == sorted(values)


def test_n_is_the_number_of_valid_pixels() -> None:
    logits, target = random_case()
    valid = target != VOID
    row = logits.movedim(1, -1)[valid].T[None, :, None]
    torch.testing.assert_close(
        LossMaxPooling()(row, target[valid][None, None]), LossMaxPooling()(logits, target)
    )


@pytest.mark.parametrize(
    "options", [{"ratio": 0.0}, {"ratio": 1.1}, {"p": 1.0}, {"p": float("inf")}]
)
def test_wrong_options(options: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="must be"):
        LossMaxPooling(**options)  # type: ignore[arg-type]
