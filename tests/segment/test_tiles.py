"""Tiles cover every pixel once, without seams and in bounded memory."""

import tracemalloc
from itertools import pairwise
from typing import cast

import numpy as np
import pytest
import torch
from torch import nn

from reproduce.models import FCN
from reproduce.segment.network import TrainedNetwork
from reproduce.segment.tiles import Maps, Pixels, probabilities, spans, tiled
from tests.segment.conftest import random_network


@pytest.mark.parametrize("tile", [64, 96, 256, 1000])
@pytest.mark.parametrize("stride", [8, 32])
def test_spans(tile: int, stride: int) -> None:
    for length in (*range(1, 400), 1023, 5000):
        found = spans(length, tile, stride)
        assert found[0].first == 0
        assert found[-1].last == length
        for span in found:
            assert 0 <= span.start <= span.first < span.last <= span.stop <= length
            assert span.start % stride == 0
            assert span.stop - span.start < tile + stride
        for a, b in pairwise(found):
            assert a.last - b.first == tile // 8
            assert b.first >= b.start + (b.first > 0) * (tile // 16)
        for a, b in zip(found, found[2:], strict=False):
            assert a.last <= b.first


def toy(pixels: Pixels) -> Maps:
    """Fully convolutional, with a field of view of 7 pixels, at the picture's size."""
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1),
        nn.Tanh(),
        nn.Conv2d(8, 8, 3, padding=1),
        nn.Tanh(),
        nn.Conv2d(8, 5, 3, padding=1),
    )
    images = torch.from_numpy(pixels / np.float32(64)).permute(2, 0, 1)[None]
    with torch.inference_mode():
        maps: Maps = net(images)[0].softmax(0).numpy()
    return maps


@pytest.mark.parametrize("size", [(1, 1), (64, 65), (70, 300), (301, 1), (257, 199)])
def test_tiles_equal_the_whole(size: tuple[int, int]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    whole = toy(pixels)
    seen = np.zeros(size, int)
    together = np.zeros_like(whole)
    for rows, columns, maps in tiled(toy, pixels, 64):
        seen[rows, columns] += 1
        together[:, rows, columns] = maps
    assert (seen == 1).all()
    assert np.abs(together - whole).max() < 1e-5


def test_blending_is_smooth() -> None:
    """Between tiles that disagree the answer changes in small steps."""
    values = iter(np.linspace(0, 1, 100, dtype=np.float32))

    def answer(pixels: Pixels) -> Maps:
        return np.full((1, *pixels.shape[:2]), next(values))

    pixels = np.zeros((1, 1000, 3), np.uint8)
    row = np.concatenate([maps[0, 0] for _, _, maps in tiled(answer, pixels, 256)])
    assert len(row) == 1000
    assert np.abs(np.diff(row)).max() < 0.01 / 8


def test_memory_does_not_grow_with_the_picture() -> None:
    def answer(pixels: Pixels) -> Maps:
        return np.ones((20, *pixels.shape[:2]), np.float32)

    pixels = np.zeros((8192, 128, 3), np.uint8)
    tracemalloc.start()
    for _ in tiled(answer, pixels, 128):
        pass
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8192 * 128 * 20 * 4 / 10


def network(downscale: int = 1) -> TrainedNetwork:
    found = cast("TrainedNetwork", random_network())
    found.downscale = downscale
    return found


def test_probabilities_are_the_networks() -> None:
    net = network()
    images = torch.randint(0, 256, (1, 3, 70, 91), dtype=torch.uint8)
    maps = probabilities(net, images[0].permute(1, 2, 0).numpy())
    with torch.inference_mode():
        assert np.array_equal(maps, net.full_logits(images)[0].softmax(0).numpy())
    assert len(np.unique(maps.argmax(0))) > 1


def test_reduced_as_in_training() -> None:
    """A network that was trained on halved images sees halved pictures, whole and in tiles."""
    net = network(2)
    pixels = np.random.default_rng(1).integers(0, 256, (33, 40, 3), np.uint8).repeat(8, 0)
    pixels = pixels.repeat(8, 1)
    whole = probabilities(net, pixels)
    assert whole.shape == (7, 264, 320)
    halved = torch.from_numpy(pixels[::2, ::2].copy()).permute(2, 0, 1)[None]
    with torch.inference_mode():
        expected = net.full_logits(halved, (264, 320))[0].softmax(0).numpy()
    assert np.abs(whole - expected).max() < 1e-5
    parts = tiled(lambda part: probabilities(net, part), pixels, 256, 64)
    assert sum(maps[0].size for _, _, maps in parts) == 264 * 320


@pytest.mark.parametrize("trunk", ["thin", "vgg16"])
def test_tiny_pictures(trunk: str) -> None:
    """VGG-16's pooling and MSC's half scale have something left of 1x1 pixels."""
    net = cast("TrainedNetwork", FCN(trunk=trunk, num_classes=3, multiscale=True).eval())
    net.downscale = 1
    for size in ((1, 1), (3, 200)):
        maps = probabilities(net, np.full((*size, 3), 90, np.uint8))
        assert maps.shape == (3, *size)
        assert np.allclose(maps.sum(0), 1, atol=1e-5)
