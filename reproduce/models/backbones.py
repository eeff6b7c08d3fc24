"""Trunks: networks that turn an image into features at strides 4, 8, 16 and 32.

With ``output_stride=8`` the strides after the third stage become dilations, as in DeepLab.
"""

from collections.abc import Callable, Iterable
from typing import Literal

from torch import Tensor, nn
from torchvision import models

TrunkName = Literal["resnet101", "vgg16", "mobilenet_v2", "thin"]
OutputStride = Literal[8, 32]


class Trunk(nn.Module):
    """Four stages after one another; the parameters keep the names of their origin.

    Args:
        stages: Modules that bring the stride to 4, 8, 16 and 32 (8, 8 and 8 when dilated).
        channels: Channels after each stage.
        origin: The network of torchvision the stages were taken from, if any; initial weights
            are published under its names.
    """

    def __init__(
        self,
        stages: Iterable[nn.Module],
        channels: tuple[int, int, int, int],
        origin: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.stages = nn.ModuleList(stages)
        self.channels = channels
        names = {id(v): k for k, v in origin.state_dict(keep_vars=True).items()} if origin else {}
        #: Name here -> name in the published weights.
        self.origin_names = {
            k: names[id(v)] for k, v in self.state_dict(keep_vars=True).items() if id(v) in names
        }

    def forward(self, images: Tensor) -> list[Tensor]:
        """Features after each stage.

        Args:
            images: ``(B, 3, H, W)``, normalised.

        Returns:
            Four tensors ``(B, channels[i], h_i, w_i)``.
        """
        features = []
        for stage in self.stages:
            images = stage(images)
            features.append(images)
        return features


def _dilate(module: nn.Module, dilation: int, strided: int | None = None) -> None:
    """Replace every stride in ``module`` by stride 1, and dilate its 3x3 convolutions.

    Args:
        module: Changed in place.
        dilation: Dilation of the 3x3 convolutions.
        strided: Dilation of those that had the stride. They stand before it, so what they have
            learned fits the dilation before it, half of the others' (the a-trous rule);
            ``None``: as the others.
    """
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d):
            own = dilation if strided is None or layer.stride == (1, 1) else strided
            layer.stride = (1, 1)
            if layer.kernel_size == (3, 3):
                layer.dilation = layer.padding = (own, own)


def resnet101(output_stride: OutputStride) -> Trunk:
    """ResNet-101 without its classifier: 42,500,160 parameters.

    Dilated, the 3x3 of layer3 get dilation 2 and those of layer4 dilation 4, but for their first
    blocks, which get 1 and 2: there torchvision has the stride on the 3x3 itself. In DeepLab-v2 it
    is on the 1x1 before it, so that the first blocks are dilated like the others; weights in
    Caffe's layout bring that geometry with them.
    """
    net = models.resnet101(weights=None)
    if output_stride == 8:
        _dilate(net.layer3, 2, 1)
        _dilate(net.layer4, 4, 2)
    stem = nn.Sequential(net.conv1, net.bn1, net.relu, net.maxpool, net.layer1)
    return Trunk([stem, net.layer2, net.layer3, net.layer4], (256, 512, 1024, 2048), net)


def vgg16(output_stride: OutputStride) -> Trunk:
    """VGG-16 without its classifier: 14,714,688 parameters.

    With output stride 8 it is DeepLab-LargeFOV's version: 3x3 pooling, of stride 1 in the last
    two, dilated conv5, and a 3x3 average pooling of stride 1 at the end.
    """
    vgg = models.vgg
    features = vgg.make_layers(vgg.cfgs["D"])
    if output_stride == 8:
        for i, layer in enumerate(features):
            if isinstance(layer, nn.MaxPool2d):
                features[i] = nn.MaxPool2d(3, stride=2 if i < 23 else 1, padding=1)
        _dilate(features[24:], 2)  # behind the pooling that had the stride
        features.append(nn.AvgPool2d(3, stride=1, padding=1))
    stages = [features[:10], features[10:17], features[17:24], features[24:]]
    return Trunk(stages, (128, 256, 512, 512), nn.ModuleDict({"features": features}))


def mobilenet_v2(output_stride: OutputStride) -> Trunk:
    """MobileNetV2's features, its last 1x1 convolution included: 2,223,872 parameters."""
    features = models.mobilenet_v2(weights=None).features
    stages = [features[:4], features[4:7], features[7:14], features[14:]]
    if output_stride == 8:
        _dilate(stages[2], 2, 1)
        _dilate(stages[3], 4, 2)
    return Trunk(stages, (24, 32, 96, 1280), nn.ModuleDict({"features": features}))


def thin(output_stride: OutputStride, width: int = 16) -> Trunk:
    """Small residual network for generated images; trained from scratch.

    A strided convolution and four residual blocks of stride 2 with ``width`` times 1, 2, 3 and 4
    channels.
    """
    channels = (width, 2 * width, 3 * width, 4 * width)

    def block(inputs: int, outputs: int) -> nn.Module:
        skip = nn.Sequential(nn.Conv2d(inputs, outputs, 1, 2, bias=False), nn.BatchNorm2d(outputs))
        residual: nn.Module = models.resnet.BasicBlock(inputs, outputs, 2, skip)
        return residual

    stem = nn.Sequential(
        nn.Conv2d(3, width, 3, 2, 1, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(inplace=True),
        block(width, width),
    )
    stages = [stem, *(block(channels[i], channels[i + 1]) for i in range(3))]
    if output_stride == 8:
        _dilate(stages[2], 2)
        _dilate(stages[3], 4)
    return Trunk(stages, channels)


TRUNKS: dict[str, Callable[[OutputStride], Trunk]] = {
    "resnet101": resnet101,
    "vgg16": vgg16,
    "mobilenet_v2": mobilenet_v2,
    "thin": thin,
}


def build_trunk(name: TrunkName, output_stride: OutputStride) -> Trunk:
    """Trunk by name, with random weights.

    Raises:
        ValueError: If the name is unknown.
    """
    if name not in TRUNKS:
        raise ValueError(f"trunk must be one of {', '.join(TRUNKS)}, got {name!r}")
    return TRUNKS[name](output_stride)
