"""The grid on which the loss is taken (section 8b of the specification: 16, 64 or 512 cells)."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from reproduce.models import FCN, DeepLabLargeFOV, SegmentationModule


class Spy(nn.Module):
    """Cross-entropy that keeps what it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[Tensor, Tensor]] = []

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        self.seen.append((logits.detach(), target))
        return F.cross_entropy(logits, target, ignore_index=255)


def train(net: SegmentationModule, height: int, width: int) -> tuple[Any, Tensor, Tensor]:
    torch.manual_seed(1)
    net.log = lambda *_, **__: None  # type: ignore[method-assign]
    image = torch.randint(0, 256, (2, 3, height, width), dtype=torch.uint8)
    mask = torch.randint(0, 4, (2, height, width))
    mask[:, :5] = 255
    loss = net.eval().training_step({"image": image, "mask": mask}, 0)
    return net.criterion, image, loss


@pytest.mark.parametrize(
    ("stride", "grid"), [(None, (96, 70)), (1, (96, 70)), (8, (12, 9)), (32, (3, 3))]
)
def test_fcn(stride: int | None, grid: tuple[int, int]) -> None:
    net = FCN(32, trunk="thin", num_classes=4, criterion=Spy(), loss_stride=stride)
    spy, image, loss = train(net, 96, 70)
    ((logits, target),) = spy.seen
    assert logits.shape == (2, 4, *grid)
    assert target.shape == (2, *grid)
    expected = F.interpolate(net(net.normalise(image)), size=grid, mode="bilinear")
    torch.testing.assert_close(logits, expected.detach())
    assert loss.requires_grad


def test_the_papers_crop() -> None:
    """FCN's grids of 512: 16, 64 and 512 cells a side."""
    sides = []
    for stride in (32, 8, 1):
        net = FCN(32, trunk="thin", num_classes=4, criterion=Spy(), loss_stride=stride)
        spy, _, _ = train(net, 512, 512)
        sides.append(spy.seen[0][1].shape[-1])
    assert sides == [16, 64, 512]


@pytest.mark.parametrize(("stride", "sides"), [(None, [8, 6, 4, 8]), (1, [64] * 4), (16, [4] * 4)])
def test_all_outputs_of_msc_share_the_grid(stride: int | None, sides: list[int]) -> None:
    net = DeepLabLargeFOV(
        trunk="thin",
        hidden=8,
        dilation=1,
        num_classes=4,
        multiscale=True,
        criterion=Spy(),
        loss_stride=stride,
    )
    spy, _, loss = train(net, 64, 64)
    assert [logits.shape[-1] for logits, _ in spy.seen] == sides
    assert [target.shape[-1] for _, target in spy.seen] == sides
    total = sum(F.cross_entropy(z, t, ignore_index=255) for z, t in spy.seen)
    torch.testing.assert_close(loss.detach(), total)


def test_the_answer_does_not_depend_on_it() -> None:
    image = torch.rand(1, 3, 64, 64)
    nets = []
    for stride in (None, 4):
        torch.manual_seed(0)
        nets.append(FCN(trunk="thin", loss_stride=stride).eval())
    assert torch.equal(nets[0](image), nets[1](image))


def test_wrong_stride() -> None:
    with pytest.raises(ValueError, match="loss_stride must be positive or null, got 0"):
        FCN(trunk="thin", loss_stride=0)
