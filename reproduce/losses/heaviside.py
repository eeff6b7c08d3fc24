"""Heaviside functions and their derivatives, eq. (2), (6) and (7) of the paper."""

import math
from typing import Literal, get_args

import torch
from torch import Tensor

HeavisideKind = Literal["mahf", "ahf", "hf", "hf_straight_through", "compact"]


def check_heaviside(kind: str, eps: float) -> None:
    """Validate the options every level set function shares.

    Raises:
        ValueError: If ``kind`` is unknown or ``eps`` is not positive.
    """
    if kind not in get_args(HeavisideKind):
        raise ValueError(f"kind must be one of {', '.join(get_args(HeavisideKind))}, got {kind!r}")
    if not eps > 0:
        raise ValueError(f"eps must be positive, got {eps}")


def heaviside(phi: Tensor, kind: HeavisideKind = "mahf", eps: float = 0.05) -> Tensor:
    r"""Smooth or exact step from 0 (outside) to 1 (inside the contour).

    * ``mahf``: :math:`\frac12(1+\tanh(\phi/\epsilon))`, eq. (6), computed by the identity
      :math:`\mathrm{sigmoid}(2\phi/\epsilon)`: the literal form is quantised in steps of 3e-8
      near 0 in float32 and makes :math:`c_1 = 0/0` for a class that is nowhere predicted.
    * ``ahf``: :math:`\frac12(1+\frac2\pi\arctan(\phi/\epsilon))`, Chan and Vese's form. The paper
      gives it "epsilon = 20"; read literally that is almost flat on [-0.5, 0.5], so the slope
      20, ``eps=0.05``, is the default here (``docs/differences.md``).
    * ``hf``: the step of eq. (2), 1 where ``phi >= 0``. Its gradient is zero.
    * ``hf_straight_through``: the same values with gradient 1, as if the step were
      :math:`P = \phi + 0.5` (Bengio et al., arXiv 1308.3432); not in the paper.
    * ``compact``: Chan and Vese's first form, :math:`H_{1,\epsilon}`: exact beyond
      :math:`|\phi| > \epsilon`, between :math:`\frac12(1+\frac\phi\epsilon+\frac1\pi
      \sin\frac{\pi\phi}\epsilon)`; not in the paper.

    Args:
        phi: Level set function of any shape, :math:`P - 0.5 \in [-0.5, 0.5]` in the paper.
        kind: Which function.
        eps: Width of the smooth step (unused by ``hf`` and ``hf_straight_through``).

    Returns:
        Tensor like ``phi``, values in [0, 1].

    Raises:
        ValueError: If ``kind`` is unknown or ``eps`` is not positive.

    Example:
        >>> heaviside(torch.tensor([-0.5, 0.0, 0.5]), kind="hf")
        tensor([0., 1., 1.])
    """
    check_heaviside(kind, eps)
    if kind == "mahf":
        return torch.sigmoid(phi * (2 / eps))
    if kind == "ahf":
        return 0.5 + torch.atan(phi / eps) / math.pi
    if kind == "compact":
        inner = (phi / eps).clamp(-1, 1)
        return 0.5 * (1 + inner + torch.sin(math.pi * inner) / math.pi)
    step = (phi >= 0).to(phi.dtype)
    return step + (phi - phi.detach()) if kind == "hf_straight_through" else step


def dirac(
    phi: Tensor, step: Tensor, kind: HeavisideKind = "mahf", eps: float = 0.05
) -> Tensor | None:
    r"""Derivative of :func:`heaviside`, :math:`\delta_\epsilon` in eq. (7).

    Args:
        phi: Level set function of any shape.
        step: ``heaviside(phi, kind, eps)``, reused because
            :math:`\delta^*_\epsilon = \frac2\epsilon H^*(1-H^*)`.
        kind: Which function.
        eps: Width of the smooth step.

    Returns:
        New tensor like ``phi``, or ``None`` for ``hf``, whose derivative is zero almost everywhere.
    """
    if kind == "mahf":
        return (step - step * step).mul_(2 / eps)
    if kind == "ahf":
        return (phi / eps).square_().add_(1).reciprocal_().mul_(1 / (math.pi * eps))
    if kind == "compact":
        return torch.cos((phi / eps).clamp_(-1, 1).mul_(math.pi)).add_(1).mul_(0.5 / eps)
    return torch.ones_like(phi) if kind == "hf_straight_through" else None
