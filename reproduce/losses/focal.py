"""Focal loss (Lin et al.): cross-entropy that goes easy on pixels already right."""

from typing import ClassVar, Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from reproduce.losses.rival import RivalLoss, valid_pixels


def focal_loss(losses: Tensor, gamma: float) -> Tensor:
    r"""Mean of :math:`(1-p)^\gamma\,\ell` with :math:`p=e^{-\ell}`.

    Args:
        losses: ``(n,)`` cross-entropies of the pixels.
        gamma: Focusing exponent, at least 0.

    Returns:
        Scalar, at most the mean of ``losses``.

    Example:
        >>> focal_loss(torch.tensor([2.0, 4.0]), gamma=0.0)
        tensor(3.)
    """
    wrong = (-torch.expm1(-losses)).clamp(min=torch.finfo(losses.dtype).tiny)
    return (wrong**gamma * losses).mean()


class FocalLoss(RivalLoss):
    r"""Focal loss, in place of cross-entropy.

    .. math:: L = -\frac1n\sum_i (1-p_i)^\gamma\log p_i

    over the n valid pixels of the batch, :math:`p_i` the probability of the true class. Without
    the weight :math:`\alpha` of the classes.

    Reference: Lin et al., *Focal Loss for Dense Object Detection*, ICCV 2017,
    https://arxiv.org/abs/1708.02002.

    ``softmax`` is the form common in segmentation: with gamma 0 it is cross-entropy, and the
    softmax of the trained net stays the probability that scoring and CRF read. ``sigmoid`` is the
    paper's: a sum of one binary focal loss for each class. It is ``segmentation_models_pytorch``'s
    ``FocalLoss``, which averages over the classes (weaker C times; undone here), is nan for a batch
    that is all void (0 here), and has nan gradients for gamma between 0 and 1 (refused here).

    Args:
        gamma: Focusing exponent, 2 in the paper.
        activation: ``softmax`` or ``sigmoid``.
        ignore_index: Label of void.

    Raises:
        ValueError: On wrong options.

    Example:
        >>> loss = FocalLoss()
        >>> loss(torch.zeros(1, 2, 4, 4), torch.zeros(1, 4, 4, dtype=torch.long))  # log(2) / 4
        tensor(0.1733)
    """

    recommended_weight: ClassVar[float] = 1.0
    replaces_cross_entropy: ClassVar[bool] = True

    def __init__(
        self,
        gamma: float = 2.0,
        activation: Literal["softmax", "sigmoid"] = "softmax",
        ignore_index: int = 255,
    ) -> None:
        super().__init__(ignore_index)
        if activation not in {"softmax", "sigmoid"}:
            raise ValueError(f"activation must be softmax or sigmoid, got {activation!r}")
        if gamma < 0 or (activation == "sigmoid" and 0 < gamma < 1):
            raise ValueError(f"gamma must be at least 0 (sigmoid: 0 or at least 1), got {gamma}")
        self.gamma = gamma
        self.activation = activation
        if activation == "sigmoid":
            from segmentation_models_pytorch import losses

            self._sigmoid = losses.FocalLoss(losses.MULTICLASS_MODE, gamma=gamma)

    def value(self, scores: Tensor, labels: Tensor, valid: Tensor) -> Tensor:
        """See :meth:`RivalLoss.value`."""
        z, y = valid_pixels(scores, labels, valid)
        if self.activation == "sigmoid":
            value: Tensor = self._sigmoid(z.T.unsqueeze(0), y.unsqueeze(0))
            return value * z.shape[1]
        return focal_loss(F.cross_entropy(z, y, reduction="none"), self.gamma)
