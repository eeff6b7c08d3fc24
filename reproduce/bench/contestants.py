"""The losses that are compared, ours and those of other libraries."""

import os
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from reproduce.losses import CrossEntropyLevelSetLoss, level_set_energy
from reproduce.losses.native import SWITCH, native_kernel

Loss = Callable[[Tensor, Tensor], Tensor]

#: The paper's weight and width, and the label of void.
LAM, EPS, VOID = 4e-4, 1 / 20, 255

#: The measure of all others.
BASE = "F.cross_entropy"
FUSED = "CE + LS, fused"
IN_TORCH = "CE + LS, fused, without kernel"
CLOSED_FORM = "CE + LS, closed form"
AS_WRITTEN = "CE + LS, formulas as written"
COMPILED = "F.cross_entropy, torch.compile"


class Contestant(NamedTuple):
    """A loss and what it is called.

    Attributes:
        name: Name.
        loss: Of logits and target; ``None`` if it cannot run here.
        note: Why not, or what is special about it.
    """

    name: str
    loss: Loss | None
    note: str = ""


def cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    """The measure of all others."""
    return F.cross_entropy(logits, target, ignore_index=VOID)


def naive_energy(logits: Tensor, target: Tensor, eps: float = EPS) -> Tensor:
    """Eq. (4)-(6) as they are written, class by class, mean over the batch."""
    total = logits.new_zeros(())
    probability = logits.softmax(1)
    for p, truth in zip(probability, target, strict=True):
        valid = truth != VOID
        for label in truth[valid].unique():
            g = (truth[valid] == label).to(logits.dtype)
            h = 0.5 * (1 + torch.tanh((p[label][valid] - 0.5) / eps))
            c1 = (g * h).sum() / h.sum()
            c2 = (g * (1 - h)).sum() / (1 - h).sum()
            total = total + ((g - c1) ** 2 * h).sum() + ((g - c2) ** 2 * (1 - h)).sum()
    return total / len(logits)


def without_kernel(logits: Tensor, target: Tensor) -> Tensor:
    """The fused loss on its path in PyTorch, as where no kernel can be compiled."""
    before = os.environ.get(SWITCH)
    os.environ[SWITCH] = "0"
    try:
        value: Tensor = CrossEntropyLevelSetLoss(LAM, EPS)(logits, target)
    finally:
        if before is None:
            del os.environ[SWITCH]
        else:
            os.environ[SWITCH] = before
    return value


def _ours(device: torch.device) -> list[Contestant]:
    on_cpu = "kernel in C" if native_kernel() else "no C compiler: as without kernel"
    on_gpu = "kernels in Triton where these work"
    return [
        Contestant(
            FUSED, CrossEntropyLevelSetLoss(LAM, EPS), on_cpu if device.type == "cpu" else on_gpu
        ),
        Contestant(IN_TORCH, without_kernel, "plain PyTorch"),
        Contestant(
            CLOSED_FORM,
            lambda z, t: cross_entropy(z, t) + LAM * level_set_energy(z, t, eps=EPS).mean(),
        ),
        Contestant(AS_WRITTEN, lambda z, t: cross_entropy(z, t) + LAM * naive_energy(z, t)),
    ]


def compiled() -> Contestant:
    """Cross-entropy compiled anew, for the shape of its first call."""
    torch.compiler.reset()
    return Contestant(COMPILED, torch.compile(cross_entropy, dynamic=False))


def _monai() -> Loss:
    loss = import_module("monai.losses").DiceCELoss(to_onehot_y=True, softmax=True)

    def dice_ce(logits: Tensor, target: Tensor) -> Tensor:
        value: Tensor = loss(logits, target.masked_fill(target == VOID, 0).unsqueeze(1))
        return value

    return dice_ce


def _kornia() -> Loss:
    focal = import_module("kornia.losses").focal_loss

    def loss(logits: Tensor, target: Tensor) -> Tensor:
        value: Tensor = focal(logits, target, None, 2.0, "mean", ignore_index=VOID)
        return value

    return loss


def _foreign() -> list[Contestant]:
    from segmentation_models_pytorch import losses as smp

    found = [
        Contestant(f"smp {name}", getattr(smp, f"{name}Loss")("multiclass", ignore_index=VOID))
        for name in ("Dice", "Focal", "Lovasz")
    ]
    others = {
        "MONAI DiceCE": ("monai", _monai, "void counts as class 0: it has no label to ignore"),
        "kornia focal": ("kornia", _kornia, ""),
    }
    for name, (package, make, note) in others.items():
        known = find_spec(package) is not None
        found.append(
            Contestant(name, make(), note) if known else Contestant(name, None, "not installed")
        )
    return found


def contestants(device: torch.device) -> list[Contestant]:
    """All of them; the first is the measure of the others."""
    return [Contestant(BASE, cross_entropy), *_ours(device), compiled(), *_foreign()]


def for_growth(device: torch.device) -> list[Contestant]:
    """Those whose growth is looked at: the first, and ours but for the formulas as written."""
    ours = [entry for entry in _ours(device) if entry.name != AS_WRITTEN]
    return [Contestant(BASE, cross_entropy), *ours]
