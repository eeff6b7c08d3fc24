"""Sizes, dilations, fields of view and parameters of the networks at true size."""

from typing import Any

import pytest
import torch
from torch import nn

from reproduce.models import FCN, DeepLabLargeFOV, DeepLabResNet101, SegmentationModule
from reproduce.models.backbones import TRUNKS, build_trunk
from reproduce.models.caffe import to_caffe_geometry


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
@pytest.mark.parametrize(("crop", "grid"), [(321, 41), (512, 64), (513, 65)])
def test_grids_of_the_papers_crops(
    network: type[SegmentationModule], trunk: Any, crop: int, grid: int
) -> None:
    """On the meta device, which computes sizes alone."""
    net = network(trunk=trunk).eval()
    net.trunk.to("meta")
    net.head.to("meta")
    image = torch.zeros(1, 3, crop, crop, device="meta")
    assert net(image).shape == (1, 21, grid, grid)


def test_grids_of_fcn() -> None:
    """Trunk at strides 4 to 32 of a 512 crop, answer at its size."""
    net = FCN(8).eval()
    net.trunk.to("meta")
    net.head.to("meta")
    image = torch.zeros(1, 3, 512, 512, device="meta")
    assert [f.shape[-1] for f in net.trunk(image)] == [128, 64, 32, 16]
    assert net(image).shape == (1, 21, 512, 512)


def test_resnet_dilations() -> None:
    """Every 3x3 of layer3 and layer4; their first blocks as the stride on the 3x3 demands."""
    stages: Any = build_trunk("resnet101", 8).stages
    stem, layer2, layer3, layer4 = stages
    assert layer2[0].conv2.stride == (2, 2)
    assert {b.conv2.dilation for layer in (stem[4], layer2) for b in layer} == {(1, 1)}
    for layer, blocks, dilation in ((layer3, 23, 2), (layer4, 3, 4)):
        expected = [(dilation // 2,) * 2] + [(dilation, dilation)] * (blocks - 1)
        assert [block.conv2.dilation for block in layer] == expected
        assert [block.conv2.padding for block in layer] == expected
        assert {block.conv2.stride for block in layer} == {(1, 1)}
        assert layer[0].downsample[0].stride == (1, 1)


def test_caffe_dilations_include_the_first_blocks() -> None:
    """DeepLab-v2: the stride was on the 1x1, so all 3x3 behind it are dilated alike."""
    trunk = build_trunk("resnet101", 8)
    to_caffe_geometry(trunk)
    stages: Any = trunk.stages
    assert (stages[1][0].conv1.stride, stages[1][0].conv2.stride) == ((2, 2), (1, 1))
    for layer, dilation in ((stages[2], 2), (stages[3], 4)):
        assert {block.conv2.dilation for block in layer} == {(dilation, dilation)}
        assert {block.conv2.padding for block in layer} == {(dilation, dilation)}


@pytest.mark.parametrize("caffe", [False, True])
@pytest.mark.parametrize("name", ["resnet101", "mobilenet_v2"])
def test_dilated_features_hold_the_strided_ones(name: Any, caffe: bool) -> None:
    """The a-trous rule: every fourth feature of stride 8 is the feature of stride 32."""
    if caffe and name != "resnet101":
        pytest.skip("only ResNet has a Caffe layout")
    dense, strided = (build_trunk(name, s).eval().double() for s in (8, 32))
    strided.load_state_dict(dense.state_dict())
    if caffe:
        to_caffe_geometry(dense)
        to_caffe_geometry(strided)
    image = torch.randn(1, 3, 97, 97, dtype=torch.float64)
    with torch.no_grad():
        fine, coarse = dense(image)[-1], strided(image)[-1]
    assert (fine.shape[-1], coarse.shape[-1]) == (13, 4)
    torch.testing.assert_close(fine[..., ::4, ::4], coarse)


def test_vgg_is_largefovs() -> None:
    """Poolings and dilations of DeepLab-LargeFOV's published network, in order."""
    layers = [m for m in build_trunk("vgg16", 8).modules() if not list(m.children())]
    pools = [m for m in layers if isinstance(m, nn.MaxPool2d)]
    assert [(m.kernel_size, m.stride, m.padding) for m in pools] == [
        (3, s, 1) for s in (2, 2, 2, 1, 1)
    ]
    assert isinstance(layers[-1], nn.AvgPool2d)
    assert (layers[-1].kernel_size, layers[-1].stride, layers[-1].padding) == (3, 1, 1)
    dilations = [m.dilation[0] for m in layers if isinstance(m, nn.Conv2d)]
    assert dilations == [1] * 10 + [2] * 3


def test_largefov_sees_224_pixels() -> None:
    """DeepLab's way of counting: fc6's kernel on cells of pool5.

    A cell of VGG-16's pool5 is 32 pixels wide (five poolings that halve), cells are 8 apart here,
    and fc6 reaches from the first to the last of 2 x 12 + 1 of them. The same count gives the other
    fields of view in table 2 of arXiv 1412.7062.
    """

    def view(kernel: int, dilation: int) -> int:
        return (kernel - 1) * dilation * 8 + 32

    assert [view(7, 4), view(4, 4), view(4, 8), view(3, 12)] == [224, 128, 224, 224]
    net = DeepLabLargeFOV(trunk="vgg16")
    fc6 = next(net.head.children())
    assert isinstance(fc6, nn.Conv2d)
    assert view(fc6.kernel_size[0], fc6.dilation[0]) == 224
    poolings = [m for m in net.trunk.modules() if isinstance(m, nn.MaxPool2d)]
    assert 2 ** len(poolings) == 32
    assert 2 ** [m.stride for m in poolings].count(2) == 8


def test_largefovs_whole_receptive_field() -> None:
    """435 pixels, every 3x3 counted: by arithmetic, and by the gradient of one-channel twins."""
    net = DeepLabLargeFOV(trunk="vgg16")
    twins: list[nn.Module] = []
    field, jump = 1, 1
    for layer in [*net.trunk.modules(), next(net.head.children())]:
        if isinstance(layer, nn.Conv2d):
            side, stride, dilation = layer.kernel_size[0], layer.stride[0], layer.dilation[0]
        elif isinstance(layer, nn.MaxPool2d | nn.AvgPool2d):
            # torch types these as one number or two, here they are one
            side, stride, dilation = int(layer.kernel_size), int(layer.stride), 1  # type: ignore[arg-type]
        else:
            continue
        field += (side - 1) * dilation * jump
        jump *= stride
        twin = nn.Conv2d(1, 1, side, stride, dilation * (side // 2), dilation, bias=False)
        nn.init.constant_(twin.weight, 1 / side**2)
        twins.append(twin)
    assert (field, jump) == (435, 8)
    image = torch.zeros(1, 1, 481, 481, requires_grad=True)
    output = nn.Sequential(*twins)(image)
    centre = output.shape[-1] // 2
    (grad,) = torch.autograd.grad(output[0, 0, centre, centre], image)
    touched = grad[0, 0].sum(0).nonzero()
    assert int(touched.max() - touched.min()) + 1 == field


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


@pytest.mark.parametrize(("multiscale", "outputs"), [(False, 1), (True, 4)])
def test_number_of_outputs(multiscale: bool, outputs: int) -> None:
    net = FCN(trunk="thin", multiscale=multiscale).eval()
    assert net.num_outputs == outputs == len(net.outputs(torch.rand(1, 3, 64, 64)))


def test_unknown_names() -> None:
    with pytest.raises(ValueError, match="trunk must be one of resnet101, vgg16"):
        build_trunk("alexnet", 8)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="stride must be 32, 16 or 8"):
        FCN(4, trunk="thin")  # type: ignore[arg-type]
    assert set(TRUNKS) == {"resnet101", "vgg16", "mobilenet_v2", "thin"}
