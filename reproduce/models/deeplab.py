"""DeepLab-LargeFOV (arXiv 1412.7062) and DeepLab-v2 (arXiv 1606.00915) on any trunk."""

from typing import Any

import torch
from torch import Tensor, nn

from reproduce.models.decimation import FILTERS, fill_from_classifier
from reproduce.models.layers import conv
from reproduce.models.loading import read_weights
from reproduce.models.module import SegmentationModule
from reproduce.models.weights import INITIAL_WEIGHTS


class DeepLabLargeFOV(SegmentationModule):
    """One large dilated field of view on a trunk of stride 8.

    fc6 is 3x3 with dilation 12, fc7 and fc8 are 1x1, with ReLU and dropout between; with VGG-16
    and 21 classes 20,505,429 parameters and a field of view of 224 pixels. fc6 and fc7 start from
    VGG-16's classifier (:mod:`reproduce.models.decimation`) where the initial weights have it, else
    at random.

    Args:
        dilation: Dilation of fc6.
        hidden: Channels of fc6 and fc7; with more than VGG-16's 4,096 they start at random.
        dropout: Probability of dropping an element after fc6 and fc7.
        classifier_std: fc8 starts as N(0, classifier_std), 0.01 in DeepLab. Where fc6 and fc7 start
            at random too, a larger one lets the loss reach them from the first step.
        **options: Those of :class:`~reproduce.models.module.SegmentationModule`.
    """

    output_stride = 8

    def __init__(
        self,
        dilation: int = 12,
        hidden: int = 1024,
        dropout: float = 0.5,
        classifier_std: float = 0.01,
        **options: Any,  # noqa: ANN401 - passed on
    ) -> None:
        super().__init__(**options)
        channels = self.trunk.channels[-1]
        fc6, fc7 = conv(channels, hidden, kernel=3, dilation=dilation), conv(hidden, hidden)
        self.head = nn.Sequential(
            fc6,
            nn.ReLU(inplace=True),
            nn.Dropout(dropout),
            fc7,
            nn.ReLU(inplace=True),
            nn.Dropout(dropout),
            conv(hidden, self.num_classes, classifier_std),
        )
        name = self.initial_weights
        self.head_filled = (
            name is not None and INITIAL_WEIGHTS[name].classifier and hidden <= FILTERS
        )
        if name is not None and self.head_filled:
            state, _ = read_weights(name, check=False)  # the trunk's loading has checked it
            fill_from_classifier(fc6, fc7, state)

    def parts(self) -> tuple[nn.Module, nn.Module]:
        """With fc6 and fc7 from VGG-16's classifier only fc8 is new, as in DeepLab's recipe."""
        if not self.head_filled:
            return super().parts()
        *filled, fc8 = self.head.children()
        return nn.ModuleList([self.trunk, *filled]), fc8

    def single_scale(self, images: Tensor) -> Tensor:
        """Logits ``(B, C, H/8, W/8)`` of normalised images ``(B, 3, H, W)``."""
        logits: Tensor = self.head(self.trunk(images)[-1])
        return logits


class DeepLabResNet101(SegmentationModule):
    """Atrous spatial pyramid pooling on a trunk of stride 8.

    Four dilated 3x3 classifiers are summed; with ResNet-101 and 21 classes 44,048,532 parameters.

    Args:
        rates: Dilations of the classifiers.
        **options: Those of :class:`~reproduce.models.module.SegmentationModule`. The name is that
            of the paper's network; ``trunk`` may be another one.
    """

    output_stride = 8

    def __init__(
        self,
        rates: tuple[int, ...] = (6, 12, 18, 24),
        **options: Any,  # noqa: ANN401 - passed on
    ) -> None:
        super().__init__(**options)
        channels = self.trunk.channels[-1]
        self.head = nn.ModuleList(
            conv(channels, self.num_classes, 0.01, kernel=3, dilation=rate) for rate in rates
        )

    def single_scale(self, images: Tensor) -> Tensor:
        """Logits ``(B, C, H/8, W/8)`` of normalised images ``(B, 3, H, W)``."""
        feature = self.trunk(images)[-1]
        return torch.stack([layer(feature) for layer in self.head.children()]).sum(0)
