"""Tversky loss (Salehi et al.): Dice with unequal weights of the two kinds of errors."""

from typing import ClassVar

import torch
from torch import Tensor

from reproduce.losses.rival import RivalLoss, valid_pixels


class TverskyLoss(RivalLoss):
    r"""One minus the Tversky index, mean over the classes that the batch holds.

    .. math:: L = 1-\frac1{|L|}\sum_{l\in L}
        \frac{\sum p_l g_l}{\sum p_l g_l+\alpha\sum p_l(1-g_l)+\beta\sum(1-p_l)g_l}

    with :math:`p_l` the softmax, :math:`g_l` the one-hot target and sums over the valid pixels of
    the batch.

    Reference: Salehi et al., *Tversky loss function for image segmentation using 3D fully
    convolutional deep networks*, MLMI 2017, https://arxiv.org/abs/1706.05721.

    The sums are ``segmentation_models_pytorch``'s ``TverskyLoss``. That counts a class without
    pixels as a loss of 0 but divides by all C classes, so a batch with 2 of 21 classes weighs a
    tenth; here the mean is over the classes present. Its ``gamma`` is not offered: it raises the
    mean over the classes, not each class's term. Probability given to an absent class is seen only
    through what the true classes lose.

    Args:
        alpha: Weight of false positives.
        beta: Weight of false negatives. The paper prefers 0.3 and 0.7: recall before precision.
        smooth: Added to numerator and denominator.
        ignore_index: Label of void.

    Raises:
        ValueError: On wrong options.

    Example:
        >>> loss = TverskyLoss()
        >>> loss(torch.zeros(1, 2, 4, 4), torch.zeros(1, 4, 4, dtype=torch.long))  # .5 / (.5 + .35)
        tensor(0.4118)
    """

    recommended_weight: ClassVar[float] = 1.0  # common beside cross-entropy; the paper has it alone

    def __init__(
        self, alpha: float = 0.3, beta: float = 0.7, smooth: float = 0.0, ignore_index: int = 255
    ) -> None:
        super().__init__(ignore_index)
        if alpha < 0 or beta < 0 or smooth < 0:
            raise ValueError(f"options must be at least 0, got {alpha=}, {beta=}, {smooth=}")
        from segmentation_models_pytorch import losses

        self.alpha = alpha
        self.beta = beta
        self.smooth = smooth
        self._index_loss = losses.TverskyLoss(
            losses.MULTICLASS_MODE, smooth=smooth, alpha=alpha, beta=beta
        )

    def value(self, scores: Tensor, labels: Tensor, valid: Tensor) -> Tensor:
        """See :meth:`RivalLoss.value`."""
        z, y = valid_pixels(scores, labels, valid)
        value: Tensor = self._index_loss(z.T.unsqueeze(0), y.unsqueeze(0))
        return value * (z.shape[1] / torch.bincount(y).count_nonzero())
