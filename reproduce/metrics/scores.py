"""Mean IoU over a data set from one int64 confusion matrix."""

import torch
from torch import Tensor
from torchmetrics import Metric


def confusion_matrix(
    prediction: Tensor, target: Tensor, num_classes: int, ignore_index: int = 255
) -> Tensor:
    """Pixels by true class (row) and predicted class (column).

    Args:
        prediction: Integer classes of any shape.
        target: Labels of the same shape; pixels of ``ignore_index`` are not counted.
        num_classes: Number of classes C.
        ignore_index: Label of void.

    Returns:
        int64 ``(C, C)``.

    Raises:
        ValueError: If the shapes differ or a class is out of range.
    """
    if prediction.shape != target.shape:
        raise ValueError(
            f"expected prediction and target of one shape, got {tuple(prediction.shape)} and "
            f"{tuple(target.shape)}"
        )
    valid = target != ignore_index
    truth, guess = target[valid].long(), prediction[valid].long()
    for name, labels in (("target", truth), ("prediction", guess)):
        if labels.numel() and not (labels.min() >= 0 and labels.max() < num_classes):
            raise ValueError(
                f"{name} holds labels {labels.min()} to {labels.max()}, "
                f"expected 0 to {num_classes - 1}"
            )
    counts = torch.bincount(truth * num_classes + guess, minlength=num_classes**2)
    return counts.view(num_classes, num_classes)


def iou_per_class(confusion: Tensor) -> Tensor:
    """TP / (TP + FP + FN) of each class, nan where a class is in neither truth nor prediction.

    Args:
        confusion: ``(C, C)``, rows = truth.

    Returns:
        float64 ``(C,)`` in [0, 1] or nan.
    """
    confusion = confusion.double()
    hits = confusion.diagonal()
    return hits / (confusion.sum(0) + confusion.sum(1) - hits)


class SegmentationScores(Metric):
    """Scores of section 4.1: IoU per class over the whole set, averaged over classes.

    Unlike ``torchmetrics.segmentation.MeanIoU``, which averages over images, every pixel of the
    set goes into one matrix; void pixels are left out, background counts as a class. Processes
    are added up exactly.

    Args:
        num_classes: Number of classes C.
        ignore_index: Label of void.

    Example:
        >>> scores = SegmentationScores(num_classes=2)
        >>> scores.update(torch.tensor([[0, 1, 1]]), torch.tensor([[0, 1, 255]]))
        >>> scores.compute()["miou"]
        tensor(1., dtype=torch.float64)
    """

    full_state_update = False
    higher_is_better = True
    confusion: Tensor

    def __init__(self, num_classes: int, ignore_index: int = 255) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.ignore_index = ignore_index
        zeros = torch.zeros(num_classes, num_classes, dtype=torch.int64)
        self.add_state("confusion", zeros, dist_reduce_fx="sum")

    def update(self, prediction: Tensor, target: Tensor) -> None:
        """Count a batch.

        Args:
            prediction: Labels ``(B, H, W)`` or logits ``(B, C, H, W)``.
            target: Labels ``(B, H, W)``.
        """
        if prediction.is_floating_point():
            prediction = prediction.argmax(1)
        self.add(confusion_matrix(prediction, target, self.num_classes, self.ignore_index))

    def add(self, confusion: Tensor) -> None:
        """Count a confusion matrix made by :func:`confusion_matrix`."""
        self.confusion += confusion
        self._update_count += 1
        self._computed = None

    def compute(self) -> dict[str, Tensor]:
        """``miou``, ``iou`` (C,) and ``pixel_accuracy``, as fractions.

        Classes absent from truth and prediction are nan in ``iou`` and left out of ``miou``.
        """
        iou = iou_per_class(self.confusion)
        correct = self.confusion.diagonal().sum().double()
        return {
            "miou": iou.nanmean(),
            "iou": iou,
            "pixel_accuracy": correct / self.confusion.sum(),
        }
