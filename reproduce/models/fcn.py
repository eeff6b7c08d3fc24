"""FCN-32s, FCN-16s and FCN-8s (Long et al., CVPR 2015) on any trunk."""

from typing import Any, Literal

from torch import Tensor, nn

from reproduce.models.layers import conv
from reproduce.models.module import SegmentationModule
from reproduce.models.multiscale import resize


class FCN(SegmentationModule):
    """Fully convolutional network with skips from the finer stages.

    1x1 score layers on the features of stride 32, 16 and 8 are interpolated and added from coarse
    to fine, then interpolated to the size of the images. The scores of the skips start at zero, so
    that every variant starts as FCN-32s; with ResNet-101 and 21 classes FCN-8s has 42,575,487
    parameters.

    Args:
        stride: 32 (no skip), 16 (one) or 8 (two).
        **options: Those of :class:`~reproduce.models.module.SegmentationModule`.

    Raises:
        ValueError: If ``stride`` is none of the three.
    """

    def __init__(self, stride: Literal[32, 16, 8] = 32, **options: Any) -> None:  # noqa: ANN401 - passed on
        super().__init__(**options)
        if stride not in (32, 16, 8):
            raise ValueError(f"stride must be 32, 16 or 8, got {stride}")
        skips = (32, 16, 8).index(stride) + 1
        channels = self.trunk.channels[::-1][:skips]
        scores = [conv(c, self.num_classes, 0.0 if i else 0.01) for i, c in enumerate(channels)]
        self.head = nn.ModuleList(scores)

    def single_scale(self, images: Tensor) -> Tensor:
        """Logits ``(B, C, H, W)`` of normalised images ``(B, 3, H, W)``."""
        features = self.trunk(images)[::-1]
        score, *skips = self.head.children()
        logits: Tensor = score(features[0])
        for skip, feature in zip(skips, features[1:], strict=False):
            logits = resize(logits, feature.shape[-2:]) + skip(feature)
        return resize(logits, images.shape[-2:])
