"""Resizing of logits and labels, and the multi-scale inputs of MSC."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

#: Input scales of MSC, section 2.2.
SCALES = (1.0, 0.75, 0.5)


def resize(maps: Tensor, size: tuple[int, int] | torch.Size) -> Tensor:
    """Bilinear interpolation of ``(B, C, h, w)`` to ``size``, ``align_corners=False``."""
    if maps.shape[-2:] == size:
        return maps
    return F.interpolate(maps, size=tuple(size), mode="bilinear", align_corners=False)


def resize_labels(target: Tensor, size: tuple[int, int] | torch.Size) -> Tensor:
    """Labels ``(B, H, W)`` of the pixels nearest to the centres of a ``size`` grid.

    Labels are picked, never mixed; void stays void.
    """
    if target.shape[-2:] == size:
        return target
    picked = F.interpolate(target[:, None].float(), size=tuple(size), mode="nearest-exact")
    return picked[:, 0].to(target.dtype)


def pyramid(network: Callable[[Tensor], Tensor], images: Tensor) -> list[Tensor]:
    """Logits at scales 1, 0.75 and 0.5 with shared weights, and their maximum per pixel.

    The first and the last have the grid of scale 1, the others their own; for the maximum they
    are interpolated to the grid of scale 1 (DeepLab-v2; Attention to Scale).

    Args:
        network: Images ``(B, 3, H, W)`` to logits ``(B, C, h, w)``.
        images: ``(B, 3, H, W)``.

    Returns:
        Four tensors of logits.
    """
    height, width = images.shape[-2:]
    outputs = [
        network(resize(images, (max(round(height * s), 1), max(round(width * s), 1))))
        for s in SCALES
    ]
    full = [resize(z, outputs[0].shape[-2:]) for z in outputs]
    return [*outputs, torch.stack(full).amax(0)]
