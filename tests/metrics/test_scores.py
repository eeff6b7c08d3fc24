"""Confusion matrix and mean IoU against plain counting."""

import math

import numpy as np
import pytest
import torch
from torchmetrics.classification import MulticlassJaccardIndex
from torchmetrics.segmentation import MeanIoU

from reproduce.metrics import SegmentationScores, confusion_matrix, iou_per_class

VOID = 255


def maps(seed: int, classes: int = 5, images: int = 3) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    truth = torch.randint(0, classes - 1, (images, 11, 13), generator=generator)
    guess = torch.where(
        torch.rand(truth.shape, generator=generator) < 0.6,
        truth,
        torch.randint(0, classes, truth.shape, generator=generator),
    )
    truth[torch.rand(truth.shape, generator=generator) < 0.1] = VOID
    return guess, truth


def counted(guess: torch.Tensor, truth: torch.Tensor, classes: int) -> list[list[int]]:
    table = [[0] * classes for _ in range(classes)]
    for g, t in zip(guess.flatten().tolist(), truth.flatten().tolist(), strict=True):
        if t != VOID:
            table[t][g] += 1
    return table


def test_equals_counting() -> None:
    guess, truth = maps(0)
    scores = SegmentationScores(5)
    for g, t in zip(guess, truth, strict=True):
        scores.update(g[None], t[None])
    table = counted(guess, truth, 5)
    assert scores.confusion.tolist() == table
    assert scores.confusion.dtype == torch.int64
    matrix = np.array(table)
    union = matrix.sum(0) + matrix.sum(1) - np.diag(matrix)
    assert scores.compute()["miou"].item() == pytest.approx((np.diag(matrix) / union).mean())
    accuracy = np.trace(matrix) / matrix.sum()
    assert scores.compute()["pixel_accuracy"].item() == pytest.approx(accuracy)


def test_equals_torchmetrics_jaccard_and_not_mean_iou() -> None:
    """torchmetrics.segmentation.MeanIoU averages over images: another number."""
    guess, truth = maps(1)
    scores = SegmentationScores(5)
    scores.update(guess, truth)
    jaccard = MulticlassJaccardIndex(5, ignore_index=VOID, average="macro")
    ours = scores.compute()["miou"].item()
    assert ours == pytest.approx(jaccard(guess, truth).item(), rel=1e-6)
    truth[0] = 1
    guess[0, :6] = 1
    scores.reset()
    scores.update(guess, truth)
    truth[truth == VOID] = 0
    per_image = MeanIoU(5, input_format="index")(guess, truth).item()
    assert abs(scores.compute()["miou"].item() - per_image) > 0.01


def test_absent_classes_are_nan_and_left_out() -> None:
    matrix = confusion_matrix(torch.tensor([0, 0, 1]), torch.tensor([0, 1, 1]), 4)
    iou = iou_per_class(matrix).tolist()
    assert iou[:2] == pytest.approx([0.5, 0.5])
    assert math.isnan(iou[2])
    scores = SegmentationScores(4)
    scores.update(torch.tensor([[0, 0, 1]]), torch.tensor([[0, 1, 1]]))
    assert scores.compute()["miou"].item() == pytest.approx(0.5)


def test_logits_equal_labels() -> None:
    guess, truth = maps(2)
    logits = torch.nn.functional.one_hot(guess, 5).movedim(-1, 1).float()
    first, second = SegmentationScores(5), SegmentationScores(5)
    first.update(guess, truth)
    second.update(logits, truth)
    assert torch.equal(first.confusion, second.confusion)


def test_a_class_predicted_only_in_void_does_not_count() -> None:
    scores = SegmentationScores(3)
    scores.update(torch.tensor([[0, 2]]), torch.tensor([[0, VOID]]))
    assert scores.compute()["miou"].item() == 1


def test_wrong_labels() -> None:
    with pytest.raises(ValueError, match="target holds labels 0 to 7, expected 0 to 2"):
        confusion_matrix(torch.tensor([0, 0]), torch.tensor([0, 7]), 3)
    with pytest.raises(ValueError, match="one shape"):
        confusion_matrix(torch.zeros(2), torch.zeros(3), 3)
