"""Heaviside functions and their derivatives, eq. (2), (6) and (7) of the paper."""

import math
from typing import Literal, get_args

import torch
from torch import Tensor

HeavisideKind = Literal["mahf", "ahf", "hf"]


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

    Args:
        phi: Level set function of any shape, :math:`P - 0.5 \in [-0.5, 0.5]` in the paper.
        kind: Which function.
        eps: Width of the smooth step (unused by ``hf``).

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
    return (phi >= 0).to(phi.dtype)


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
        Tensor like ``phi``, or ``None`` for ``hf``, whose derivative is zero almost everywhere.
    """
    if kind == "mahf":
        return (step - step * step).mul_(2 / eps)
    if kind == "ahf":
        return (phi / eps).square_().add_(1).reciprocal_().mul_(1 / (math.pi * eps))
    return None
