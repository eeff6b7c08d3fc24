"""Made-up labels and images."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


def voc_like_target(batch: int, num_classes: int, height: int, width: int) -> Tensor:
    """Background with two objects and a void border in each image, as in VOC."""
    generator = torch.Generator().manual_seed(0)
    target = torch.zeros(batch, height, width, dtype=torch.long)
    for mask in target:
        for _ in range(2):
            label = int(torch.randint(1, max(num_classes, 2), (), generator=generator))
            top = int(torch.randint(0, height // 2 + 1, (), generator=generator))
            left = int(torch.randint(0, width // 2 + 1, (), generator=generator))
            box = mask[top : top + height // 2, left : left + width // 2]
            box[:] = 255
            box[2:-2, 2:-2] = min(label, num_classes - 1)
    return target


def scene(num_classes: int, height: int, width: int) -> tuple[NDArray[np.uint8], Tensor]:
    """An image whose objects have shades of their own with noise, and unsure probabilities.

    Returns:
        uint8 ``(H, W, 3)`` and float32 ``(C, H, W)``.
    """
    rng = np.random.default_rng(0)
    labels = voc_like_target(1, num_classes, height, width)[0]
    colours = rng.integers(0, 256, (256, 3))
    slope = np.linspace(-20, 20, width)[None, :, None]
    pixels = colours[labels.numpy()] + slope + rng.normal(0, 12, (height, width, 3))
    known = labels.masked_fill(labels == 255, 0)
    logits = torch.nn.functional.one_hot(known, num_classes).movedim(-1, 0) * 3.0
    noise = torch.from_numpy(rng.normal(0, 1, tuple(logits.shape)).astype(np.float32))
    return pixels.clip(0, 255).astype(np.uint8), (logits + noise).softmax(0)
