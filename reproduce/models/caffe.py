"""Caffe's ResNet-101, as DeepLab-v2 starts from it, in torchvision's names and geometry.

The names are those of the public conversion kazuto1011/deeplab-pytorch:
``layer1.conv1.{conv,bn}`` for the first layer and
``layerK.blockN.{reduce,conv3x3,increase,shortcut}.{conv,bn}`` for the blocks, with ``layer2`` to
``layer5`` and ``block1`` onwards where torchvision has ``layer1`` to ``layer4`` and 0 onwards.
Networks with MSC put ``base.`` in front.

Caffe's max pooling rounds its size up (128 rows of 255, 129 of 256), torchvision's and ours gives
128 of both. For DeepLab's crops of 32k + 1 pixels (321, 513) there is no difference; at other sizes
the grid stays ``ceil(H / 8)``, that of every other trunk, which fits resizing without aligned
corners.
"""

import re
from collections.abc import Mapping

from torch import Tensor, nn
from torchvision.models.resnet import Bottleneck

_STEM = re.compile(r"layer1\.conv1\.(?P<kind>conv|bn)\.(?P<rest>\w+)")
_BLOCK = re.compile(
    r"layer(?P<layer>[2-5])\.block(?P<block>\d+)\."
    r"(?P<part>reduce|conv3x3|increase|shortcut)\.(?P<kind>conv|bn)\.(?P<rest>\w+)"
)
_NUMBERS = {"reduce": 1, "conv3x3": 2, "increase": 3}


def torchvision_name(name: str) -> str | None:
    """Name of a tensor in torchvision's ResNet-101, or ``None`` for those of a head.

    Example:
        >>> torchvision_name("base.layer4.block23.conv3x3.bn.running_var")
        'layer3.22.bn2.running_var'
    """
    name = name.removeprefix("base.")
    if stem := _STEM.fullmatch(name):
        return f"{stem['kind']}1.{stem['rest']}"
    match = _BLOCK.fullmatch(name)
    if match is None:
        return None
    block = f"layer{int(match['layer']) - 1}.{int(match['block']) - 1}"
    if match["part"] == "shortcut":
        return f"{block}.downsample.{('conv', 'bn').index(match['kind'])}.{match['rest']}"
    return f"{block}.{match['kind']}{_NUMBERS[match['part']]}.{match['rest']}"


def caffe_to_torchvision(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """State dict under torchvision's names, for RGB instead of Caffe's BGR; heads are dropped.

    Args:
        state: In the names of the conversion, with or without ``base.``.
    """
    renamed = {torchvision_name(key): value for key, value in state.items()}
    out = {key: value for key, value in renamed.items() if key is not None}
    if "conv1.weight" in out:
        out["conv1.weight"] = out["conv1.weight"].flip(1)
    return out


def to_caffe_geometry(trunk: nn.Module) -> None:
    """Strides on the 1x1 before each 3x3, and so, in a dilated trunk, every 3x3 behind them.

    The 3x3 of a stage's first block then has the dilation of the other blocks (DeepLab-v2).

    Args:
        trunk: ResNet of torchvision's blocks, changed in place.
    """
    for stage in trunk.modules():
        blocks = [block for block in stage.children() if isinstance(block, Bottleneck)]
        for block in blocks:
            reduce, conv3x3 = block.conv1, block.conv2
            reduce.stride, conv3x3.stride = conv3x3.stride, reduce.stride
        if blocks:
            conv3x3 = blocks[0].conv2
            conv3x3.dilation = conv3x3.padding = blocks[-1].conv2.dilation
