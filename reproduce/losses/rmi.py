"""Region mutual information loss (Zhao et al.): how well regions explain those of the label."""

from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from reproduce.losses.rival import RivalLoss, one_hot


def pool_valid(maps: Tensor, valid: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Mean over the valid pixels of each cell of ``size`` by ``size`` pixels.

    Args:
        maps: ``(B, C, H, W)``.
        valid: ``(B, H, W)`` bool.
        size: Side of the cells; those at the lower and right edge may be smaller.

    Returns:
        ``(B, C, ceil(H / size), ceil(W / size))`` means, 0 where a cell is all void, and
        ``(B, ceil(H / size), ceil(W / size))`` bool, whether it holds a valid pixel.
    """
    mask = valid.unsqueeze(1).to(maps.dtype)
    share = F.avg_pool2d(mask, size, ceil_mode=True)
    known = share > 0
    means = F.avg_pool2d(maps * mask, size, ceil_mode=True) / share.masked_fill(~known, 1)
    return means, known.squeeze(1)


def region_information(truth: Tensor, guess: Tensor, known: Tensor, ridge: float) -> Tensor:
    r"""How much of the label's regions the prediction's leave open.

    .. math:: I = \tfrac12\log\det\Big(1+\frac M\epsilon\Big),\qquad
        M=\Sigma_Y-\Sigma_{YP}(\Sigma_P+\epsilon)^{-1}\Sigma_{YP}^\top

    Each of the n regions without a void cell gives a vector Y of labels and a vector P of
    probabilities; the :math:`\Sigma` are n times their covariances, and M is what a linear
    predictor of Y from P leaves. Computed in float64.

    Args:
        truth: ``(..., d, n)`` Y.
        guess: ``(..., d, n)`` P.
        known: ``(..., n)`` bool, false where the region has a void cell.
        ridge: :math:`\epsilon`.

    Returns:
        ``(...)`` float64, at least 0; 0 for a class without pixels.
    """
    weight = known.unsqueeze(-2).double()
    count = weight.sum(-1, keepdim=True).clamp(min=1)
    y, p = (
        (v - (v * weight).sum(-1, keepdim=True) / count) * weight
        for v in (truth.double(), guess.double())
    )
    eye = torch.eye(y.shape[-2], dtype=y.dtype, device=y.device)
    root = torch.linalg.cholesky(p @ p.mT + ridge * eye)
    explained = torch.linalg.solve_triangular(root, p @ y.mT, upper=False)
    left = y @ y.mT - explained.mT @ explained
    pivots = torch.linalg.cholesky(left / ridge + eye).diagonal(dim1=-2, dim2=-1)
    information: Tensor = pivots.log().sum(-1)
    return information


class RMILoss(RivalLoss):
    r"""Lower bound of the mutual information of regions, as a loss.

    Label and softmax are pooled; every ``radius`` by ``radius`` block of cells is one point of
    :math:`d` = ``radius``² dimensions; :func:`region_information` of each class over d is summed
    over the classes, mean over the images.

    Reference: Zhao et al., *Region Mutual Information Loss for Semantic Segmentation*, NeurIPS
    2019, https://arxiv.org/abs/1910.12037.

    Departures from the authors' code, from which radius, pooling and ridge are: softmax, not
    sigmoid, and cross-entropy, not binary, beside it, since the nets here are scored and given to
    the CRF by their softmax; regions that touch a void cell are left out (there void counts as a
    region of zeros); cells are not padded; the log-determinant is that of :math:`1+M/\epsilon`,
    not of :math:`M+\epsilon`, a constant less, so that the least value is 0. The authors weigh it
    and their cross-entropy equally. Blind to the sign of a class's map: use it beside cross-entropy
    only. A map of fewer than ``radius`` cells has loss 0.

    Args:
        radius: Side of a region in cells.
        pool: Side of a cell in pixels, 3 in the authors' code (1: no pooling).
        ridge: Added to the diagonals.
        ignore_index: Label of void.

    Raises:
        ValueError: On wrong options.

    Example:
        >>> loss = RMILoss()
        >>> target = torch.arange(15).view(1, 1, 15).expand(1, 15, 15) // 8
        >>> good = torch.nn.functional.one_hot(target, 2).movedim(-1, 1) * 20.0
        >>> bool(loss(good, target) < 0.1 * loss(torch.zeros(1, 2, 15, 15), target))
        True
    """

    recommended_weight: ClassVar[float] = 1.0  # the authors weigh both equally

    def __init__(
        self, radius: int = 3, pool: int = 3, ridge: float = 5e-4, ignore_index: int = 255
    ) -> None:
        super().__init__(ignore_index)
        if radius < 1 or pool < 1:
            raise ValueError(f"radius and pool must be at least 1, got {radius} and {pool}")
        if not ridge > 0:
            raise ValueError(f"ridge must be positive, got {ridge}")
        self.radius = radius
        self.pool = pool
        self.ridge = ridge

    def value(self, scores: Tensor, labels: Tensor, valid: Tensor) -> Tensor:
        """See :meth:`RivalLoss.value`."""
        inside = one_hot(labels, valid, scores.shape[1], scores.dtype)
        guess, known = pool_valid(scores.softmax(1), valid, self.pool)
        truth, _ = pool_valid(inside, valid, self.pool)
        if min(known.shape[1:]) < self.radius:
            return scores.sum() * 0
        shape = (*guess.shape[:2], self.radius**2, -1)
        y, p = (F.unfold(maps, self.radius).view(shape) for maps in (truth, guess))
        whole = F.unfold(known.unsqueeze(1).to(scores.dtype), self.radius).amin(1) > 0
        information = region_information(y, p, whole.unsqueeze(1), self.ridge)
        return (information.sum(1).mean() / self.radius**2).to(scores.dtype)
