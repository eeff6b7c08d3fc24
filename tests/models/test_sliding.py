"""Sliding windows against an average taken pixel by pixel."""

import itertools

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from reproduce.models import DeepLabLargeFOV
from reproduce.models.sliding import sliding_logits, starts


def test_windows_cover_a_side_exactly() -> None:
    for length, window in itertools.product(range(1, 30), range(1, 12)):
        found = starts(length, window)
        side = min(window, length)
        assert {p + i for p in found for i in range(side)} == set(range(length))
        assert found == sorted(set(found))
        steps = [b - a for a, b in itertools.pairwise(found)]
        assert all(step == max(2 * window // 3, 1) for step in steps[:-1])


def test_cityscapes() -> None:
    """Windows of 513 with stride 342 on 1024x2048."""
    assert starts(1024, 513) == [0, 342, 511]
    assert starts(2048, 513) == [0, 342, 684, 1026, 1368, 1535]


def slow(network: nn.Module, images: Tensor, window: int) -> Tensor:
    """Each pixel's own list of answers, averaged."""
    height, width = images.shape[-2:]
    answers: dict[tuple[int, int], list[Tensor]] = {}
    for top in starts(height, window):
        for left in starts(width, window):
            crop = images[:, :, top : top + window, left : left + window]
            size = crop.shape[-2:]
            logits = F.interpolate(network(crop), size=size, mode="bilinear")
            for y in range(size[0]):
                for x in range(size[1]):
                    answers.setdefault((top + y, left + x), []).append(logits[:, :, y, x])
    rows = [
        torch.stack([torch.stack(answers[y, x]).mean(0) for x in range(width)], -1)
        for y in range(height)
    ]
    return torch.stack(rows, -2)


@pytest.mark.parametrize("size", [(23, 31), (9, 40), (40, 9), (16, 17)])
def test_equals_the_slow_average(size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    network = nn.Conv2d(3, 4, 3, stride=2, padding=1)
    images = torch.rand(2, 3, *size)
    with torch.no_grad():
        ours = sliding_logits(network, images, 16)
        assert ours.shape == (2, 4, *size)
        torch.testing.assert_close(ours, slow(network, images, 16))


def test_a_network_of_single_pixels_gives_the_whole_image() -> None:
    torch.manual_seed(0)
    network = nn.Conv2d(3, 5, 1)
    images = torch.rand(1, 3, 50, 70)
    with torch.no_grad():
        ours, whole = sliding_logits(network, images, 21), network(images)
    torch.testing.assert_close(ours, whole, rtol=1e-6, atol=1e-6)
    assert torch.equal(ours.argmax(1), whole.argmax(1))


def test_one_window_is_the_network_itself() -> None:
    network = nn.Conv2d(3, 2, 3, stride=2, padding=1)
    images = torch.rand(1, 3, 20, 30)
    assert torch.equal(sliding_logits(network, images, 30), network(images))


def test_segment_uses_the_window() -> None:
    torch.manual_seed(0)
    net = DeepLabLargeFOV(trunk="thin", hidden=8, dilation=1, num_classes=4, window=48).eval()
    images = torch.randint(0, 256, (1, 3, 64, 80), dtype=torch.uint8)
    with torch.no_grad():
        expected = slow(net, net.normalise(images), 48)
        assert torch.equal(net.segment(images), expected.argmax(1))
        doubled = F.interpolate(expected, size=(128, 160), mode="bilinear").argmax(1)
        assert (net.segment(images, (128, 160)) == doubled).float().mean() > 0.999


def test_wrong_windows() -> None:
    with pytest.raises(ValueError, match="window must be positive, got 0"):
        sliding_logits(nn.Identity(), torch.zeros(1, 3, 4, 4), 0)
    with pytest.raises(ValueError, match="window must be positive or null, got 0"):
        DeepLabLargeFOV(trunk="thin", hidden=8, window=0)
