"""Bilinear transposed convolutions against Caffe's formula and interpolation."""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from reproduce.models import FCN
from reproduce.models.optimisation import Recipe, parameter_groups
from reproduce.models.upsampling import bilinear_deconvolution, bilinear_kernel, fit


@pytest.mark.parametrize("factor", [2, 8, 16, 32])
def test_kernel_is_caffes_bilinear_filler(factor: int) -> None:
    side = 2 * factor
    f = math.ceil(side / 2)
    centre = (2 * f - 1 - f % 2) / (2 * f)
    kernel = bilinear_kernel(factor)
    for y in range(side):
        for x in range(side):
            expected = (1 - abs(x / f - centre)) * (1 - abs(y / f - centre))
            assert kernel[y, x].item() == pytest.approx(expected)
    assert kernel.sum().item() == pytest.approx(factor**2)


@pytest.mark.parametrize("factor", [2, 8, 16])
def test_equals_interpolation_away_from_the_borders(factor: int) -> None:
    torch.manual_seed(0)
    maps = torch.rand(2, 3, 6, 7)
    ours = bilinear_deconvolution(3, factor, learned=False)(maps)
    expected = F.interpolate(maps, scale_factor=factor, mode="bilinear", align_corners=False)
    assert ours.shape == expected.shape
    inside = (..., slice(factor, -factor), slice(factor, -factor))
    torch.testing.assert_close(ours[inside], expected[inside])
    assert (ours[..., 0, :] < expected[..., 0, :]).all(), "zeros lie outside"


def test_fit() -> None:
    maps = torch.arange(6.0).view(1, 1, 2, 3)
    assert fit(maps, (1, 2)).tolist() == [[[[0, 1]]]]
    assert fit(maps, (2, 5)).tolist() == [[[[0, 1, 2, 2, 2], [3, 4, 5, 5, 5]]]]
    assert fit(maps, (3, 2)).tolist() == [[[[0, 1], [3, 4], [3, 4]]]]


def twins(stride: int) -> tuple[FCN, FCN]:
    """FCN with interpolation, and the same with transposed convolutions."""
    torch.manual_seed(0)
    plain = FCN(stride, trunk="thin", num_classes=4).eval()  # type: ignore[arg-type]
    for layer in plain.head.children():
        nn.init.normal_(layer.get_parameter("weight"))
    other = FCN(stride, "deconv_fixed", trunk="thin", num_classes=4).eval()  # type: ignore[arg-type]
    other.load_state_dict({**other.state_dict(), **plain.state_dict()})
    return plain, other


@pytest.mark.parametrize("stride", [32, 16, 8])
def test_fcn_agrees_away_from_the_borders(stride: int) -> None:
    plain, other = twins(stride)
    image = torch.rand(1, 3, 288, 256)
    with torch.no_grad():
        ours, expected = other(image), plain(image)
    inside = (..., slice(64, -64), slice(64, -64))
    torch.testing.assert_close(ours[inside], expected[inside], rtol=1e-4, atol=1e-4)
    assert not torch.allclose(ours, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("trunk", ["thin", "vgg16"])
@pytest.mark.parametrize("stride", [32, 8])
def test_odd_sizes(trunk: str, stride: int) -> None:
    """VGG-16 rounds its grid down, so that pixels must be added; the others round up."""
    net = FCN(stride, "deconv_fixed", trunk=trunk, num_classes=2).eval()  # type: ignore[arg-type]
    with torch.no_grad():
        assert net(torch.rand(1, 3, 67, 91)).shape == (1, 2, 67, 91)


@pytest.mark.parametrize(("stride", "sides"), [(32, [64]), (16, [4, 32]), (8, [4, 4, 16])])
def test_only_learned_kernels_are_trained(stride: int, sides: list[int]) -> None:
    for learned in (False, True):
        name = "deconv_learned" if learned else "deconv_fixed"
        net = FCN(stride, name, trunk="thin", num_classes=5)  # type: ignore[arg-type]
        layers = [m for m in net.modules() if isinstance(m, nn.ConvTranspose2d)]
        assert [m.weight.shape for m in layers] == [(5, 1, s, s) for s in sides]
        groups = parameter_groups(net.trunk, net.head, Recipe())
        listed = {id(p) for g in groups for p in g["params"]}
        for layer in layers:
            assert layer.bias is None
            assert layer.weight.requires_grad is learned
            assert (id(layer.weight) in listed) is learned


def test_learned_kernels_move() -> None:
    net = FCN(16, "deconv_learned", trunk="thin", num_classes=3)
    net(torch.rand(2, 3, 64, 64)).square().mean().backward()
    layers = [m for m in net.modules() if isinstance(m, nn.ConvTranspose2d)]
    assert all(m.weight.grad is not None and m.weight.grad.abs().sum() > 0 for m in layers)


def test_unknown_option() -> None:
    with pytest.raises(ValueError, match="upsample must be one of interpolate, deconv_fixed"):
        FCN(32, "nearest", trunk="thin")  # type: ignore[arg-type]
