"""FCN-32s, FCN-16s and FCN-8s (Long et al., CVPR 2015) on any trunk."""

from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from reproduce.models.layers import conv
from reproduce.models.module import SegmentationModule
from reproduce.models.multiscale import resize
from reproduce.models.upsampling import bilinear_deconvolution, fit

#: How coarse scores come to a finer grid.
Upsampling = Literal["interpolate", "deconv_fixed", "deconv_learned"]


class FCN(SegmentationModule):
    """Fully convolutional network with skips from the finer stages.

    1x1 score layers on the features of stride 32, 16 and 8 are upsampled and added from coarse
    to fine, then upsampled to the size of the images. The scores of the skips start at zero, so
    that every variant starts as FCN-32s; with ResNet-101 and 21 classes FCN-8s has 42,575,487
    parameters.

    Args:
        stride: 32 (no skip), 16 (one) or 8 (two).
        upsample: ``interpolate``; or transposed convolutions with bilinear kernels, as in the
            original, that stay as they are (``deconv_fixed``) or are trained with the head
            (``deconv_learned``). They follow the scores in ``head``.
        **options: Those of :class:`~reproduce.models.module.SegmentationModule`.

    Raises:
        ValueError: If ``stride`` or ``upsample`` is none of the three.
    """

    def __init__(
        self,
        stride: Literal[32, 16, 8] = 32,
        upsample: Upsampling = "interpolate",
        **options: Any,  # noqa: ANN401 - passed on
    ) -> None:
        super().__init__(**options)
        if stride not in (32, 16, 8):
            raise ValueError(f"stride must be 32, 16 or 8, got {stride}")
        if upsample not in get_args(Upsampling):
            raise ValueError(
                f"upsample must be one of {', '.join(get_args(Upsampling))}, got {upsample!r}"
            )
        levels = (32, 16, 8).index(stride) + 1
        channels = self.trunk.channels[::-1][:levels]
        scores = [conv(c, self.num_classes, 0.0 if i else 0.01) for i, c in enumerate(channels)]
        factors = [] if upsample == "interpolate" else [2] * (levels - 1) + [stride]
        learned = upsample == "deconv_learned"
        enlarging = [bilinear_deconvolution(self.num_classes, f, learned=learned) for f in factors]
        self.levels = levels
        self.head = nn.ModuleList([*scores, *enlarging])

    def _enlarge(self, logits: Tensor, step: int, size: torch.Size) -> Tensor:
        """Logits ``(B, C, h, w)`` at ``size``; ``step`` counts the upsamplings from 0."""
        layers = list(self.head.children())[self.levels :]
        return fit(layers[step](logits), size) if layers else resize(logits, size)

    def single_scale(self, images: Tensor) -> Tensor:
        """Logits ``(B, C, H, W)`` of normalised images ``(B, 3, H, W)``."""
        features = self.trunk(images)[::-1][: self.levels]
        score, *skips = list(self.head.children())[: self.levels]
        logits: Tensor = score(features[0])
        for step, (skip, feature) in enumerate(zip(skips, features[1:], strict=True)):
            logits = self._enlarge(logits, step, feature.shape[-2:]) + skip(feature)
        return self._enlarge(logits, len(skips), images.shape[-2:])
