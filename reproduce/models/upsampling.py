"""Upsampling by transposed convolutions with bilinear kernels, as FCN has it."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def bilinear_kernel(factor: int) -> Tensor:
    """Kernel of bilinear interpolation by an even factor f.

    Args:
        factor: f.

    Returns:
        ``(2f, 2f)``, the outer product of 1 - |i - (f - 1/2)| / f, i from 0 to 2f - 1; its sum is
        f squared.
    """
    line = 1 - (torch.arange(2 * factor) - (factor - 0.5)).abs() / factor
    return line[:, None] * line


def bilinear_deconvolution(channels: int, factor: int, *, learned: bool) -> nn.ConvTranspose2d:
    """Transposed convolution ``(B, C, h, w)`` to ``(B, C, f h, f w)``, each channel by itself.

    Away from the borders it starts as ``F.interpolate`` with ``align_corners=False``; at them it
    takes zeros for what lies outside.

    Args:
        channels: C.
        factor: f, even.
        learned: Whether the kernels are trained.
    """
    layer = nn.ConvTranspose2d(
        channels, channels, 2 * factor, factor, factor // 2, groups=channels, bias=False
    )
    kernel = bilinear_kernel(factor).expand_as(layer.weight)
    layer.weight = nn.Parameter(kernel.clone(), requires_grad=learned)
    return layer


def fit(maps: Tensor, size: tuple[int, int] | torch.Size) -> Tensor:
    """Cut ``(B, C, h, w)`` at bottom and right to ``size``, or repeat the last pixels there.

    A trunk that rounds its grid up gives too much for a size that is no multiple of its stride, one
    that rounds down too little.
    """
    maps = maps[..., : size[0], : size[1]]
    height, width = maps.shape[-2:]
    return F.pad(maps, (0, size[1] - width, 0, size[0] - height), mode="replicate")
