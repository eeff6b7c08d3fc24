"""Active contour loss (Chen et al.): length of the contour plus the regions' errors."""

from typing import ClassVar

from torch import Tensor

from reproduce.losses.rival import RivalLoss, one_hot
from reproduce.losses.variation import total_variation


def region_error(maps: Tensor, inside: Tensor, valid: Tensor) -> Tensor:
    r"""Region term :math:`\sum_l\sum u_l(c_1-v_l)^2+(1-u_l)(c_2-v_l)^2`, c1 = 1, c2 = 0.

    Args:
        maps: ``(B, C, H, W)`` u, probabilities.
        inside: ``(B, C, H, W)`` v, one-hot target.
        valid: ``(B, H, W)`` bool.

    Returns:
        Scalar; for hard maps twice the number of wrong pixels.

    Example:
        >>> import torch
        >>> maps, inside = torch.tensor([[[[0.25]], [[0.75]]]]), torch.tensor([[[[0.0]], [[1.0]]]])
        >>> region_error(maps, inside, torch.ones(1, 1, 1, dtype=torch.bool))
        tensor(0.5000)
    """
    error = maps * (1 - inside) ** 2 + (1 - maps) * inside**2
    return (error * valid.unsqueeze(1)).sum()


class ActiveContourLoss(RivalLoss):
    r"""Length plus ``lam`` times region, per valid pixel of the batch.

    .. math:: L = \frac1n\sum_l\Big(\sum|\nabla u_l|
        +\lambda\big(\sum u_l(1-v_l)^2+\sum(1-u_l)v_l^2\big)\Big)

    with u the softmax, v the one-hot target and n the valid pixels: Chan and Vese's energy with the
    label in place of the image and c1 = 1, c2 = 0 in place of the means, so that, unlike the level
    set loss, it is not blind to the sign of the contour.

    Reference: Chen et al., *Learning Active Contour Models for Medical Image Segmentation*, CVPR
    2019, pages 11632-11640 (eq. 11 and 12 according to the authors' code).

    Departures: summed over all classes (the paper has two); per pixel, as in the authors' code, not
    summed over the image; forward differences and a length of 0 for a constant map (see
    :func:`~reproduce.losses.variation.total_variation`). The length term takes away parts thinner
    than about ``4 / lam`` pixels if nothing stands against it: use it beside cross-entropy.

    Args:
        lam: Weight of the region term, 1 in the authors' code.
        ignore_index: Label of void.

    Raises:
        ValueError: On wrong options.

    Example:
        >>> import torch
        >>> loss = ActiveContourLoss()
        >>> loss(torch.zeros(1, 2, 4, 4), torch.zeros(1, 4, 4, dtype=torch.long))  # no length
        tensor(1.)
    """

    recommended_weight: ClassVar[float] = 0.1  # our choice, not tuned

    def __init__(self, lam: float = 1.0, ignore_index: int = 255) -> None:
        super().__init__(ignore_index)
        if lam < 0:
            raise ValueError(f"lam must be at least 0, got {lam}")
        self.lam = lam

    def value(self, scores: Tensor, labels: Tensor, valid: Tensor) -> Tensor:
        """See :meth:`RivalLoss.value`."""
        maps = scores.softmax(1)
        inside = one_hot(labels, valid, scores.shape[1], scores.dtype)
        region = region_error(maps, inside, valid)
        return (total_variation(maps, valid) + self.lam * region) / valid.sum()
