"""Scores of an evaluation as a record holds them."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from reproduce.metrics.scores import iou_per_class


def percent(fraction: float, digits: int = 4) -> float | None:
    """Rounded percentage, ``None`` for nan."""
    return None if math.isnan(fraction) else round(fraction * 100, digits)


def scores_of(confusion: Tensor, step: int) -> dict[str, Any]:
    """Scores of a whole set in percent.

    Args:
        confusion: ``(C, C)``, rows = truth.
        step: Of the training, at which the network was evaluated.

    Returns:
        ``step``, ``miou``, ``pixel_accuracy`` and ``iou``, a list with ``None`` for classes that
        are in neither truth nor prediction.
    """
    iou = iou_per_class(confusion)
    accuracy = confusion.diagonal().sum().item() / max(int(confusion.sum()), 1)
    return {
        "step": step,
        "miou": percent(iou.nanmean().item()),
        "pixel_accuracy": percent(accuracy),
        "iou": [percent(value) for value in iou.tolist()],
    }


def check_counts(images: int, pixels: int, expected: Mapping[str, int]) -> None:
    """Refuse an evaluation that did not see the whole set.

    Args:
        images: Images that were evaluated.
        pixels: Pixels that were counted.
        expected: ``images`` and ``valid_pixels`` of the split, from the data's manifest.

    Raises:
        RuntimeError: If they differ.
    """
    found = {"images": images, "valid_pixels": pixels}
    if found != {key: expected[key] for key in found}:
        raise RuntimeError(f"evaluated {found}, the data set's manifest has {dict(expected)}")


def summary_of(matrices: Mapping[str, NDArray[np.int64]], step: int) -> dict[str, Any]:
    """The record's part that comes from the confusion matrices of the images.

    Args:
        matrices: ``(C, C)`` by name of image.
        step: Of the training.

    Returns:
        ``scores``, ``confusion`` and ``image_iou`` in percent.
    """
    total = torch.from_numpy(np.sum(list(matrices.values()), axis=0))
    scores = scores_of(total, step)
    image_iou = {
        name: percent(iou_per_class(torch.from_numpy(matrix)).nanmean().item(), 2)
        for name, matrix in matrices.items()
    }
    return {
        "scores": {"last": scores, "best": scores},
        "confusion": total.tolist(),
        "image_iou": image_iou,
    }
