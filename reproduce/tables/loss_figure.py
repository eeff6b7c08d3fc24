"""The picture of docs/loss.md: ``python -m reproduce.tables.loss_figure``.

Everything drawn is computed by the functions that train, in float64.
"""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from reproduce.experiments import REPOSITORY
from reproduce.losses.heaviside import HeavisideKind, dirac, heaviside
from reproduce.losses.level_set import level_set_energy
from reproduce.tables.figures import figure_file

PATH = REPOSITORY / "docs" / "images" / "loss.svg"

EPS = 1 / 20
#: lam times the reference area: the weight of the mean energy of a pixel.
WEIGHT = 4e-4 * 64**2
#: Share of an image that is of the class.
SHARE = 0.25

#: Label, function and colour.
KINDS: tuple[tuple[str, HeavisideKind, str], ...] = (
    ("MAHF, ε 1/20", "mahf", "#1f6fb4"),
    ("AHF, ε 1/20", "ahf", "#d1495b"),
    ("HF", "hf", "#444444"),
)


def _grid(low: float, high: float, count: int = 401) -> Tensor:
    return torch.linspace(low, high, count, dtype=torch.float64)


def energy_of_true_class(probability: Tensor, pixels: int = 400) -> Tensor:
    """Mean energy of a pixel of an image of two classes, at each probability of the true one.

    Args:
        probability: ``(n,)``, that of the true class, the same at all pixels: near 0 the mask is
            inverted, near 1 it is right.
        pixels: Number of pixels.
    """
    target = (torch.arange(pixels) < SHARE * pixels).long().view(1, 1, pixels)
    logit = torch.logit(probability).view(-1, 1, 1)  # of the true class against the other
    towards = (2 * target - 1) * logit / 2
    logits = torch.stack([-towards, towards], 1)
    energy: Tensor = level_set_energy(logits, target.expand(len(probability), -1, -1), eps=EPS)
    return energy / pixels


def gradient_share(probability: Tensor, kind: HeavisideKind) -> Tensor:
    """|gradient of lam E| over that of cross-entropy at one pixel, for its true class.

    The other pixels are right (c1 = 1, c2 = 0), so by eq. (7) dE/dP = -delta(P - 1/2); the mean
    energy has weight lam A_ref, and cross-entropy -1/P.
    """
    phi = probability - 0.5
    delta = dirac(phi, heaviside(phi, kind, EPS), kind, EPS)
    return torch.zeros_like(phi) if delta is None else WEIGHT * delta * probability


def _draw_functions(above: Any, below: Any) -> None:  # noqa: ANN401 - matplotlib's axes
    phi = _grid(-0.5, 0.5)
    for label, kind, color in KINDS:
        step = heaviside(phi, kind, EPS)
        above.plot(phi.tolist(), step.tolist(), color=color, label=label)
        delta = dirac(phi, step, kind, EPS)
        values = phi * 0 if delta is None else delta
        below.plot(phi.tolist(), values.tolist(), color=color, label=label)
    above.set_ylabel("H(φ)")
    below.set_ylabel("δ(φ) = dH/dφ")
    for axes in (above, below):
        axes.set_xlabel("φ = P − ½")
    above.set_title("Heaviside functions", fontsize=10)
    below.set_title("MAHF has a gradient where |φ| < 0.15", fontsize=10)
    above.legend(frameon=False, fontsize=8)


def _draw_energy(axes: Any) -> None:  # noqa: ANN401
    p = _grid(0.01, 0.99)
    level_set, cross_entropy = WEIGHT * energy_of_true_class(p), -p.log()
    lines = (
        ("λ E", level_set, "#1f6fb4"),
        ("cross-entropy", cross_entropy, "#d1495b"),
        ("sum", level_set + cross_entropy, "#444444"),
    )
    for label, values, color in lines:
        axes.plot(p.tolist(), values.tolist(), color=color, label=label)
    axes.set_ylim(0, 2.5)
    axes.annotate("inverted\nmask: E ≈ 0", (0.14, 0.06), (0.02, 0.42), fontsize=8)
    axes.annotate("right\nmask: E ≈ 0", (0.9, 0.06), (0.82, 0.42), fontsize=8)
    axes.set_xlabel("P of the true class, at all pixels")
    axes.set_ylabel("loss of a pixel")
    axes.set_title("energy: blind to inversion, a barrier at ½", fontsize=10)
    axes.legend(frameon=False, fontsize=8)


def _draw_share(axes: Any) -> None:  # noqa: ANN401
    p = _grid(0.005, 0.995)
    for label, kind, color in KINDS[:2]:
        axes.semilogy(p.tolist(), gradient_share(p, kind).tolist(), color=color, label=label)
    axes.axhline(1, color="0.6", linewidth=1)
    axes.axvline(1 / 21, color="0.6", linewidth=1, linestyle="--")
    axes.annotate("fresh softmax,\n21 classes", (1 / 21, 1.5), (0.06, 1.6), fontsize=8)
    axes.set_ylim(1e-9, 50)
    axes.set_xlabel("P of the true class, at one pixel")
    axes.set_ylabel("gradient of λ E / of cross-entropy")
    axes.set_title("gradient share of the energy", fontsize=10)
    axes.legend(frameon=False, fontsize=8, loc="lower center")


def draw_loss(path: Path = PATH) -> None:
    """Write the picture; equal versions of matplotlib write equal files."""
    with figure_file(path, "loss", (8.5, 6.2)) as figure:
        (above, energy), (below, share) = figure.subplots(2, 2)
        _draw_functions(above, below)
        _draw_energy(energy)
        _draw_share(share)
        for axes in (above, below, energy, share):
            axes.spines[["top", "right"]].set_visible(False)


if __name__ == "__main__":
    draw_loss()
