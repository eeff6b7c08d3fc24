"""Caffe's ResNet-101: its names from an inverse map, its function from a plain forward pass."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision import models

from reproduce.models import DeepLabResNet101
from reproduce.models.backbones import build_trunk
from reproduce.models.caffe import caffe_to_torchvision, torchvision_name
from reproduce.models.loading import load_initial_weights

PARTS = {
    "conv1": "reduce.conv",
    "bn1": "reduce.bn",
    "conv2": "conv3x3.conv",
    "bn2": "conv3x3.bn",
    "conv3": "increase.conv",
    "bn3": "increase.bn",
    "downsample.0": "shortcut.conv",
    "downsample.1": "shortcut.bn",
}


def caffe_name(name: str) -> str:
    """The name of torchvision in the conversion's layout, word by word."""
    words = name.split(".")
    if words[0] in ("conv1", "bn1"):
        return f"layer1.conv1.{words[0][:-1]}.{words[1]}"
    stage, block = int(words[0][-1]) + 1, int(words[1]) + 1
    return f"layer{stage}.block{block}.{PARTS['.'.join(words[2:-1])]}.{words[-1]}"


@pytest.fixture(scope="module")
def published() -> dict[str, Tensor]:
    """A full state dict of Caffe's layout with random, tame values, heads included."""
    generator = torch.Generator().manual_seed(0)
    net = models.resnet101(weights=None)
    state: dict[str, Tensor] = {}
    for name, value in net.state_dict().items():
        if name.startswith("fc."):
            continue
        if name.endswith("running_var"):
            filled = 0.5 + torch.rand(value.shape, generator=generator)
        elif value.ndim == 4:
            spread = (2 / value[0].numel()) ** 0.5
            filled = torch.randn(value.shape, generator=generator) * spread
        elif value.ndim == 1:
            filled = torch.rand(value.shape, generator=generator) * 0.3
        else:
            filled = value.clone()
        state[caffe_name(name)] = filled
    return {**state, "aspp.c0.weight": torch.zeros(21, 2048, 3, 3), "fc.bias": torch.zeros(9)}


@pytest.mark.parametrize("prefix", ["", "base."])
def test_every_name(published: dict[str, Tensor], prefix: str) -> None:
    ours = caffe_to_torchvision({f"{prefix}{k}": v for k, v in published.items()})
    expected = [k for k in models.resnet101(weights=None).state_dict() if not k.startswith("fc.")]
    assert len(expected) == 624
    assert set(ours) == set(expected)
    for name in expected:
        if name != "conv1.weight":
            assert ours[name] is published[caffe_name(name)]
    bgr = published["layer1.conv1.conv.weight"]
    assert torch.equal(ours["conv1.weight"], bgr[:, [2, 1, 0]])


def test_heads_and_unknown_names_are_dropped() -> None:
    assert torchvision_name("base.layer6.block1.reduce.conv.weight") is None
    assert torchvision_name("base.aspp.c0.weight") is None
    assert torchvision_name("layer2.block1.reduce.conv.weight.more") is None


def plain_forward(state: dict[str, Tensor], bgr: Tensor) -> Tensor:
    """DeepLab-v2's trunk: strides on the 1x1 before the 3x3, dilation 2 and 4 at the end."""

    def step(x: Tensor, name: str, stride: int = 1, dilation: int = 1) -> Tensor:
        weight = state[f"{name}.conv.weight"]
        x = F.conv2d(x, weight, None, stride, dilation * (weight.shape[-1] // 2), dilation)
        mean, var, gamma, beta = (
            state[f"{name}.bn.{k}"] for k in ("running_mean", "running_var", "weight", "bias")
        )
        return F.batch_norm(x, mean, var, gamma, beta, eps=1e-5)

    x = F.max_pool2d(step(bgr, "layer1.conv1", 2).relu(), 3, 2, 1, ceil_mode=True)
    for stage, (blocks, stride, dilation) in enumerate(
        [(3, 1, 1), (4, 2, 1), (23, 1, 2), (3, 1, 4)], start=2
    ):
        for block in range(1, blocks + 1):
            name = f"layer{stage}.block{block}"
            first = stride if block == 1 else 1
            h = step(x, f"{name}.reduce", first).relu()
            h = step(h, f"{name}.conv3x3", 1, dilation).relu()
            h = step(h, f"{name}.increase")
            x = (h + (step(x, f"{name}.shortcut", first) if block == 1 else x)).relu()
    return x


def test_same_function_as_the_caffe_network(published: dict[str, Tensor], folder: Path) -> None:
    """At 65 pixels, a size of 32k + 1, where Caffe's pooling gives the same grid."""
    torch.save(published, folder / "resnet101_coco_caffe.pth")
    net = DeepLabResNet101(weights="resnet101_coco_caffe", check_weights=False).eval()
    image = torch.randint(0, 256, (1, 3, 65, 65), dtype=torch.uint8)
    bgr = image.flip(1) - torch.tensor([104.008, 116.669, 122.675]).view(3, 1, 1)
    with torch.no_grad():
        expected = plain_forward(published, bgr)
        ours = net.trunk(net.normalise(image))[-1]
    assert ours.shape[-2:] == (9, 9)
    torch.testing.assert_close(ours, expected, rtol=1e-3, atol=1e-3 * expected.abs().max().item())


@pytest.mark.parametrize(("stride", "strided"), [(8, 1), (32, 3)])
def test_strides_move_to_the_1x1(
    published: dict[str, Tensor], folder: Path, stride: int, strided: int
) -> None:
    torch.save(published, folder / "deeplabv1_resnet101-coco.pth")
    trunk = build_trunk("resnet101", stride)  # type: ignore[arg-type]
    load_initial_weights(trunk, "resnet101_coco_caffe", check=False)
    blocks = [m for m in trunk.modules() if isinstance(m, models.resnet.Bottleneck)]
    assert {b.conv2.stride for b in blocks} == {(1, 1)}
    assert [b.conv1.stride for b in blocks].count((2, 2)) == strided


@pytest.mark.parametrize(("rows", "same"), [(161, True), (257, True), (256, False)])
def test_where_caffes_pooling_differs(rows: int, same: bool) -> None:
    maps = torch.zeros(1, 1, rows, rows)
    sizes = [nn.MaxPool2d(3, 2, 1, ceil_mode=c)(maps).shape for c in (True, False)]
    assert (sizes[0] == sizes[1]) is same
