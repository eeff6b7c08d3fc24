"""Class probabilities of pictures of any size: whole, or in tiles that are blended."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from reproduce.data.images import reduce_image
from reproduce.segment.network import TrainedNetwork

Pixels = NDArray[np.uint8]
Maps = NDArray[np.float32]

#: Least side a network is given; smaller pictures are extended by their last row and column.
LEAST = 64

#: Tiles begin at multiples of it, so that their grids are parts of the whole picture's.
STRIDE = 32


class Span(NamedTuple):
    """One tile along one side.

    Attributes:
        start: First pixel the network sees.
        stop: Pixel after the last one.
        first: First pixel the tile answers for.
        last: Pixel after the last one. It overlaps the next tile's ``first`` where both are mixed.
    """

    start: int
    stop: int
    first: int
    last: int


def spans(length: int, tile: int, stride: int = STRIDE) -> list[Span]:
    """Tiles along one side.

    Neighbours share at least a quarter of a tile. In the middle of what they share, an eighth
    of a tile is mixed; nearer to its border no tile is used.

    Args:
        length: Pixels of the side.
        tile: Pixels of a tile, at least ``2 * stride``; the last one may have ``stride`` more.
        stride: Tiles begin at multiples of it.

    Example:
        >>> spans(100, 64)
        [Span(start=0, stop=64, first=0, last=52), Span(start=32, stop=100, first=44, last=100)]
    """
    end = max(length - tile, 0) // stride * stride
    starts = [*range(0, end, tile * 3 // 4 // stride * stride), end]
    stops = [*(start + tile for start in starts[:-1]), length]
    mixed = tile // 8
    seams = [(a + b) // 2 - mixed // 2 for a, b in zip(stops[:-1], starts[1:], strict=True)]
    firsts, lasts = [0, *seams], [*(seam + mixed for seam in seams), length]
    return [Span(*ends) for ends in zip(starts, stops, firsts, lasts, strict=True)]


class Seam:
    """Joins maps along one axis, from one tile to the next, and keeps only what is shared."""

    def __init__(self, axis: int) -> None:
        self.axis = axis
        self.kept: Maps | None = None

    def join(self, maps: Maps, shared: int) -> Maps:
        """The part that is finished: mixed with the tile before, without the last ``shared``."""
        maps = np.moveaxis(maps, self.axis, 0)
        if self.kept is not None:
            width = len(self.kept)
            ramp = ((np.arange(width, dtype=np.float32) + 0.5) / width)[:, None, None]
            maps = np.concatenate([self.kept * (1 - ramp) + maps[:width] * ramp, maps[width:]])
        end = len(maps) - shared
        self.kept = maps[end:].copy() if shared else None
        return np.moveaxis(maps[:end], 0, self.axis)


@torch.inference_mode()
def probabilities(network: TrainedNetwork, pixels: Pixels) -> Maps:
    """Softmax of the network at every pixel.

    Args:
        network: Network.
        pixels: RGB ``(H, W, 3)``.

    Returns:
        ``(C, H, W)`` float32.
    """
    height, width = pixels.shape[:2]
    seen = reduce_image(pixels, network.downscale)
    size = (height, width)
    missing = [max(LEAST - side, 0) for side in seen.shape[:2]]
    if any(missing):
        seen = np.pad(seen, ((0, missing[0]), (0, missing[1]), (0, 0)), mode="edge")
        size = (seen.shape[0] * network.downscale, seen.shape[1] * network.downscale)
    images = torch.from_numpy(np.ascontiguousarray(seen)).permute(2, 0, 1)[None]
    logits = network.full_logits(images.to(network.device), size)[0, :, :height, :width]
    maps: Maps = logits.float().softmax(0).cpu().numpy()
    return maps


def tiled(
    answer: Callable[[Pixels], Maps], pixels: Pixels, tile: int, stride: int = STRIDE
) -> Iterator[tuple[slice, slice, Maps]]:
    """Maps of a picture, part by part; memory grows with its width but not with its height.

    Args:
        answer: Pixels ``(h, w, 3)`` of a tile to maps ``(C, h, w)``.
        pixels: ``(H, W, 3)``.
        tile: Side of a tile.
        stride: Tiles begin at multiples of it.

    Yields:
        Rows, columns and their maps; every pixel once.
    """
    columns = spans(pixels.shape[1], tile, stride)
    rows = spans(pixels.shape[0], tile, stride)
    down = [Seam(1) for _ in columns]
    for i, row in enumerate(rows):
        across = Seam(2)
        below = row.last - rows[i + 1].first if i + 1 < len(rows) else 0
        for j, column in enumerate(columns):
            beside = column.last - columns[j + 1].first if j + 1 < len(columns) else 0
            maps = answer(pixels[row.start : row.stop, column.start : column.stop])
            y, x = row.first - row.start, column.first - column.start
            maps = maps[:, y : y + row.last - row.first, x : x + column.last - column.first]
            done = down[j].join(across.join(maps, beside), below)
            top, left = row.first, column.first
            yield slice(top, top + done.shape[1]), slice(left, left + done.shape[2]), done
