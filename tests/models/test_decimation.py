"""fc6 and fc7 from VGG-16's classifier against a slow decimation, entry by entry."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torchvision import models

from reproduce.models import DeepLabLargeFOV
from reproduce.models.decimation import fill_from_classifier
from reproduce.models.layers import conv
from reproduce.models.optimisation import Recipe, parameter_groups


@pytest.fixture(scope="module")
def vgg() -> dict[str, Tensor]:
    """State dict of VGG-16 whose classifier tells where each entry comes from."""
    with torch.device("meta"):
        shapes = {k: v.shape for k, v in models.vgg16(weights=None).state_dict().items()}
    generator = torch.Generator().manual_seed(0)
    return {k: torch.rand(shape, generator=generator) for k, shape in shapes.items()}


def layers(hidden: int) -> tuple[nn.Conv2d, nn.Conv2d]:
    return conv(512, hidden, kernel=3, dilation=12), conv(hidden, hidden)


def test_equals_a_slow_decimation(vgg: dict[str, Tensor]) -> None:
    """Which filters were kept is read from the biases, which are all different."""
    fc6, fc7 = layers(16)
    fill_from_classifier(fc6, fc7, vgg)
    kept = []
    for layer, index in ((fc6, 0), (fc7, 3)):
        bias = layer.get_parameter("bias")
        matches = bias[:, None] == vgg[f"classifier.{index}.bias"]
        kept.append([int(row.nonzero()[0, 0]) for row in matches])
        assert len(set(kept[-1])) == 16
    assert kept[0] != kept[1]
    first, second = vgg["classifier.0.weight"], vgg["classifier.3.weight"]
    for i, filter6 in enumerate(kept[0]):
        for channel in (0, 17, 511):
            for y in range(3):
                for x in range(3):
                    flat = channel * 49 + 3 * y * 7 + 3 * x
                    assert fc6.weight[i, channel, y, x] == first[filter6, flat]
        for j, filter7 in enumerate(kept[1]):
            assert fc7.weight[j, i, 0, 0] == second[filter7, filter6]


def test_the_choice_does_not_depend_on_the_seed(vgg: dict[str, Tensor]) -> None:
    found = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        fc6, fc7 = layers(8)
        state = torch.get_rng_state()
        fill_from_classifier(fc6, fc7, vgg)
        assert torch.equal(torch.get_rng_state(), state)
        found.append((fc6.weight, fc7.weight))
    assert torch.equal(found[0][0], found[1][0])
    assert torch.equal(found[0][1], found[1][1])


def test_in_the_network(vgg: dict[str, Tensor], folder: Path) -> None:
    torch.save(vgg, folder / "vgg16_imagenet.pth")
    net = DeepLabLargeFOV(trunk="vgg16", hidden=8, weights="vgg16_imagenet", check_weights=False)
    fc6, fc7 = layers(8)
    fill_from_classifier(fc6, fc7, vgg)
    convolutions = [m for m in net.head.children() if isinstance(m, nn.Conv2d)]
    assert torch.equal(convolutions[0].weight, fc6.weight)
    assert torch.equal(convolutions[1].weight, fc7.weight)
    assert convolutions[2].weight.std().item() == pytest.approx(0.01, rel=0.3)
    recipe = Recipe(lr=0.001, head_lr_factor=10, bias_lr_factor=2)
    rates = {id(p): g["lr"] for g in parameter_groups(*net.parts(), recipe) for p in g["params"]}
    assert len(rates) == len(list(net.parameters()))
    weights = [rates[id(layer.weight)] for layer in convolutions]
    assert weights == pytest.approx([0.001, 0.001, 0.01]), "filled layers have the trunk's rate"


def test_random_where_there_is_no_classifier(vgg: dict[str, Tensor], folder: Path) -> None:
    features = {k: v for k, v in vgg.items() if k.startswith("features.")}
    torch.save(features, folder / "vgg16_caffe.pth")
    torch.save(features, folder / "vgg16_imagenet.pth")
    for hidden, weights in ((8, "vgg16_caffe"), (4097, "vgg16_imagenet")):
        net = DeepLabLargeFOV(hidden=hidden, trunk="vgg16", weights=weights, check_weights=False)
        fc6 = next(net.head.children())
        assert isinstance(fc6, nn.Conv2d)
        assert fc6.weight.min() < 0, "the file's numbers are all positive"
        assert fc6.get_parameter("bias").abs().sum() == 0
        assert net.parts() == (net.trunk, net.head)
