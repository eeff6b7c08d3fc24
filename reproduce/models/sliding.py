"""Sliding-window evaluation, as DeepLab-v2 answers on Cityscapes."""

from collections.abc import Callable

import torch
from torch import Tensor

from reproduce.models.multiscale import resize


def starts(length: int, window: int) -> list[int]:
    """First pixels of the windows along one side.

    They are 2/3 of a window apart, rounded down; the last one ends with the image.

    Args:
        length: Pixels of the side.
        window: Pixels of a window; a wider one starts at 0 and is cut to the side.

    Example:
        >>> starts(1024, 513)
        [0, 342, 511]
    """
    last = max(length - window, 0)
    return [*range(0, last, max(window * 2 // 3, 1)), last]


def sliding_logits(network: Callable[[Tensor], Tensor], images: Tensor, window: int) -> Tensor:
    """Logits averaged over the square windows that see a pixel.

    Args:
        network: Images ``(B, 3, h, w)`` to logits ``(B, C, h', w')``, which are interpolated to
            ``(h, w)``.
        images: ``(B, 3, H, W)``, normalised.
        window: Side of a window in pixels.

    Returns:
        ``(B, C, H, W)``; if one window holds the images, ``network(images)`` as it is.

    Raises:
        ValueError: If ``window`` is not positive.
    """
    if window < 1:
        raise ValueError(f"window must be positive, got {window}")
    height, width = images.shape[-2:]
    if max(height, width) <= window:
        return network(images)
    total = images.new_zeros(0)
    count = torch.zeros(height, width, device=images.device)
    for top in starts(height, window):
        for left in starts(width, window):
            rows, columns = slice(top, top + window), slice(left, left + window)
            crop = images[..., rows, columns]
            logits = resize(network(crop), crop.shape[-2:])
            if total.numel() == 0:
                total = logits.new_zeros(*logits.shape[:2], height, width)
            total[..., rows, columns] += logits
            count[rows, columns] += 1
    return total / count
