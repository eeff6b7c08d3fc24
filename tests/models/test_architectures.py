"""Sizes, dilations, fields of view and parameters of the networks at true size."""

from typing import Any

import pytest
import torch
from torch import nn

from reproduce.models import FCN, DeepLabLargeFOV, DeepLabResNet101, SegmentationModule
from reproduce.models.backbones import TRUNKS, build_trunk


def parameters(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


@pytest.mark.parametrize(
    ("network", "options", "count"),
    [
        (FCN, {"stride": 8}, 42_575_487),
        (FCN, {"stride": 32}, 42_500_160 + 2048 * 21 + 21),
        (DeepLabLargeFOV, {"trunk": "vgg16"}, 20_505_429),
        (DeepLabResNet101, {}, 44_048_532),
        (DeepLabResNet101, {"multiscale": True}, 44_048_532),
    ],
)
def test_parameters(network: type[SegmentationModule], options: dict[str, Any], count: int) -> None:
    assert parameters(network(**options)) == count


@pytest.mark.parametrize("name", ["resnet101", "vgg16", "mobilenet_v2", "thin"])
@pytest.mark.parametrize("stride", [8, 32])
def test_trunk_strides(name: Any, stride: Any) -> None:
    trunk = build_trunk(name, stride).eval()
    with torch.no_grad():
        features = trunk(torch.zeros(1, 3, 64, 64))
    expected = [4, 8, 16, 32] if stride == 32 else [4, 8, 8, 8]
    assert [64 // f.shape[-1] for f in features] == expected
    assert tuple(f.shape[1] for f in features) == trunk.channels


@pytest.mark.parametrize(
    ("network", "trunk"), [(DeepLabResNet101, "resnet101"), (DeepLabLargeFOV, "vgg16")]
)
def test_grid_of_a_321_crop_is_41(network: type[SegmentationModule], trunk: Any) -> None:
    net = network(trunk=trunk).eval()
    with torch.no_grad():
        assert net(torch.zeros(1, 3, 321, 321)).shape == (1, 21, 41, 41)


def test_resnet_dilations_include_the_first_blocks() -> None:
    stages: Any = build_trunk("resnet101", 8).stages
    _, layer2, layer3, layer4 = stages
    assert layer2[0].conv2.stride == (2, 2)
    for layer, dilation in ((layer3, 2), (layer4, 4)):
        assert {block.conv2.dilation for block in layer} == {(dilation, dilation)}
        assert {block.conv2.stride for block in layer} == {(1, 1)}
        assert layer[0].downsample[0].stride == (1, 1)


def test_largefov_sees_224_pixels() -> None:
    """fc6's field of view, grown layer by layer through the trunk of VGG-16."""
    net = DeepLabLargeFOV(trunk="vgg16")
    layers = [m for m in net.trunk.modules() if isinstance(m, nn.Conv2d | nn.MaxPool2d)]
    # Caffe's numbers count neither the average pooling nor poolings wider than their stride.
    field, jump = 1, 1
    for layer in layers:
        if isinstance(layer, nn.Conv2d):
            field += 2 * layer.dilation[0] * jump
        elif layer.stride == 2:
            field += jump
            jump *= 2
    assert jump == 8
    fc6 = next(net.head.children())
    assert isinstance(fc6, nn.Conv2d)
    assert (fc6.kernel_size, fc6.dilation) == ((3, 3), (12, 12))
    # DeepLab's "field of view of 224" is the kernel's own extent on the stride-8 grid, with the
    # cells' size: (2 * 12 + 1) cells plus what conv5 adds; ours must reach at least that far.
    assert field + 2 * 12 * jump >= 224


def receptive_field(net: SegmentationModule, side: int) -> int:
    """Rows of the input that move the centre of the output, from the gradient."""
    image = torch.rand(1, 3, side, side, requires_grad=True)
    logits = net.eval()(image)
    centre = logits.shape[-1] // 2
    (grad,) = torch.autograd.grad(logits[0, :, centre, centre].sum(), image)
    rows = grad.abs().sum((0, 1, 3)).nonzero().flatten()
    return int(rows.max() - rows.min()) + 1


def test_dilation_widens_the_view() -> None:
    """Two cells of stride 8 more on either side."""
    torch.manual_seed(0)
    nets = [DeepLabLargeFOV(dilation=d, hidden=8, trunk="thin") for d in (1, 3)]
    narrow, wide = (receptive_field(net, 511) for net in nets)
    assert wide - narrow == 2 * 2 * 8


def test_aspp_is_a_sum() -> None:
    net = DeepLabResNet101(trunk="thin").eval()
    image = torch.rand(1, 3, 64, 64)
    feature = net.trunk(image)[-1]
    expected = sum(branch(feature) for branch in net.head.children())
    torch.testing.assert_close(net(image), expected)
    branches = [m for m in net.head.children() if isinstance(m, nn.Conv2d)]
    assert [branch.dilation for branch in branches] == [(r, r) for r in (6, 12, 18, 24)]


def test_fcn_skips_start_at_zero_and_add_up() -> None:
    torch.manual_seed(0)
    net = FCN(8, trunk="thin").eval()
    image = torch.rand(1, 3, 64, 64)
    f8, f16, f32 = net.trunk(image)[1:]
    up = nn.functional.interpolate
    score, skip16, skip8 = net.head.children()
    assert skip16.weight.abs().sum() == 0  # type: ignore[operator]
    nn.init.normal_(skip8.weight)  # type: ignore[arg-type]
    nn.init.normal_(skip16.weight)  # type: ignore[arg-type]
    merged = up(score(f32), size=f16.shape[-2:], mode="bilinear") + skip16(f16)
    merged = up(merged, size=f8.shape[-2:], mode="bilinear") + skip8(f8)
    torch.testing.assert_close(net(image), up(merged, size=(64, 64), mode="bilinear"))


def test_multiscale_is_the_maximum_of_three_scales() -> None:
    net = DeepLabLargeFOV(trunk="thin", hidden=8, multiscale=True).eval()
    image = torch.rand(1, 3, 64, 64)
    outputs = net.outputs(image)
    assert [z.shape[-1] for z in outputs] == [8, 6, 4, 8]
    up = nn.functional.interpolate
    single = [
        net.single_scale(image if s == 1 else up(image, size=(int(64 * s),) * 2, mode="bilinear"))
        for s in (1, 0.75, 0.5)
    ]
    full = [up(z, size=(8, 8), mode="bilinear") for z in single]
    expected = torch.maximum(torch.maximum(full[0], full[1]), full[2])
    torch.testing.assert_close(outputs[3], expected)
    torch.testing.assert_close(net(image), expected)


def test_training_loss_sums_the_four_outputs() -> None:
    net = DeepLabResNet101(trunk="thin", rates=(1, 2), multiscale=True).eval()
    net.log = lambda *_, **__: None  # type: ignore[method-assign]
    image = torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8)
    mask = torch.randint(0, 21, (2, 64, 64))
    mask[:, :9] = 255
    total = 0.0
    for logits in net.outputs(net.normalise(image)):
        cells = 64 / logits.shape[-1]
        picks = ((torch.arange(logits.shape[-1]) + 0.5) * cells).long()
        total += nn.functional.cross_entropy(
            logits, mask[:, picks][:, :, picks], ignore_index=255
        ).item()
    assert net.training_step({"image": image, "mask": mask}, 0).item() == pytest.approx(
        total, rel=1e-5
    )


def test_frozen_batch_norm_stays_frozen() -> None:
    net = FCN(trunk="thin").train()
    norms = [m for m in net.modules() if isinstance(m, nn.BatchNorm2d)]
    assert norms
    assert not any(m.training or m.weight.requires_grad for m in norms)
    before = [m.running_mean.clone() for m in norms if m.running_mean is not None]
    net(torch.rand(2, 3, 64, 64))
    assert all(torch.equal(a, m.running_mean) for a, m in zip(before, norms, strict=True))  # type: ignore[arg-type]
    free = FCN(trunk="thin", freeze_batch_norm=False).train()
    assert all(m.training for m in free.modules() if isinstance(m, nn.BatchNorm2d))


def test_unknown_names() -> None:
    with pytest.raises(ValueError, match="trunk must be one of resnet101, vgg16"):
        build_trunk("alexnet", 8)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="stride must be 32, 16 or 8"):
        FCN(4, trunk="thin")  # type: ignore[arg-type]
    assert set(TRUNKS) == {"resnet101", "vgg16", "mobilenet_v2", "thin"}
