"""Dice loss (Milletari et al.): one minus the soft overlap of prediction and label."""

from typing import ClassVar

import torch
from torch import Tensor

from reproduce.losses.rival import RivalLoss, valid_pixels


class DiceLoss(RivalLoss):
    r"""One minus the soft Dice coefficient, mean over the classes that the batch holds.

    .. math:: L = 1-\frac1{|L|}\sum_{l\in L}\frac{2\sum p_l g_l}{\sum p_l+\sum g_l}

    with :math:`p_l` the softmax, :math:`g_l` the one-hot target and sums over the valid pixels of
    the batch.

    Reference: Milletari et al., *V-Net: Fully Convolutional Neural Networks for Volumetric Medical
    Image Segmentation*, 3DV 2016, https://arxiv.org/abs/1606.04797 (two classes, squared
    probabilities in the denominator; the form here is the one in common use).

    The sums are ``segmentation_models_pytorch``'s ``DiceLoss``. That counts a class without pixels
    as a loss of 0 but divides by all C classes, so a batch with 2 of 21 classes weighs a tenth;
    here the mean is over the classes present. Probability given to an absent class is seen only
    through what the true classes lose.

    Args:
        smooth: Added to numerator and denominator (of the halved fraction).
        ignore_index: Label of void.

    Raises:
        ValueError: On wrong options.

    Example:
        >>> loss = DiceLoss()
        >>> loss(torch.zeros(1, 2, 4, 4), torch.zeros(1, 4, 4, dtype=torch.long))  # 1 - 2/3
        tensor(0.3333)
    """

    recommended_weight: ClassVar[float] = 1.0  # the common sum with cross-entropy

    def __init__(self, smooth: float = 0.0, ignore_index: int = 255) -> None:
        super().__init__(ignore_index)
        if smooth < 0:
            raise ValueError(f"smooth must be at least 0, got {smooth}")
        from segmentation_models_pytorch import losses

        self.smooth = smooth
        self._dice = losses.DiceLoss(losses.MULTICLASS_MODE, smooth=smooth)

    def value(self, scores: Tensor, labels: Tensor, valid: Tensor) -> Tensor:
        """See :meth:`RivalLoss.value`."""
        z, y = valid_pixels(scores, labels, valid)
        value: Tensor = self._dice(z.T.unsqueeze(0), y.unsqueeze(0))
        return value * (z.shape[1] / torch.bincount(y).count_nonzero())
