"""Loss max-pooling (Rota Bulò et al.), the LMP of the paper's Table 5."""

from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from reproduce.losses.rival import RivalLoss, valid_pixels


def pooling_weights(losses: Tensor, ratio: float, p: float) -> Tensor:
    r"""Weights w that maximise :math:`\sum_i w_i\ell_i` under two bounds on their norms.

    With n losses, :math:`m` = ``ratio`` n and :math:`1/p+1/q=1`, the bounds are
    :math:`\|w\|_p\le n^{-1/q}` (the p-norm of the uniform weights 1/n) and
    :math:`\|w\|_\infty\le\tau=n^{-1/q}m^{-1/p}` (so that at least m pixels are supported). Then

    .. math:: w_i=\tau\min(1,(\ell_i/\alpha)^{q-1}),\qquad\sum_i\min(1,(\ell_i/\alpha)^q)=m.

    Sorted by falling loss, the first k pixels have the largest weight, and
    :math:`\alpha^q=\sum_{i>k}\ell_i^q/(m-k)`. If fewer than m losses are positive, these all have
    the largest weight and the others none.

    Args:
        losses: ``(n,)``, at least 0.
        ratio: Least share of supported pixels, in (0, 1].
        p: Norm, above 1.

    Returns:
        ``(n,)`` weights like ``losses``, without gradient.

    Example:
        >>> pooling_weights(torch.tensor([3.0, 1.0, 1.0, 0.0]), ratio=0.5, p=2.0)
        tensor([0.3536, 0.2500, 0.2500, 0.0000])
    """
    q = p / (p - 1)
    n = len(losses)
    m = ratio * n
    loss = losses.detach().double()
    tiny = torch.finfo(loss.dtype).tiny
    scaled = loss / loss.max().clamp(min=tiny)
    powers = scaled.sort(descending=True).values ** q
    rest = powers.flip(0).cumsum(0).flip(0)  # of this pixel and all with smaller losses
    before = torch.arange(n, dtype=loss.dtype, device=loss.device)
    capped = powers * (m - before) > rest  # true, then false
    k = capped.sum().clamp(max=n - 1)
    alpha = (rest[k] / (m - before[k])) ** (1 / q)
    weights: Tensor = (scaled / alpha.clamp(min=tiny)).clamp(max=1) ** (q - 1)
    tau: float = n ** (-1 / q) * m ** (-1 / p)
    return (weights * tau).to(losses)


class LossMaxPooling(RivalLoss):
    r"""Largest weighted sum of the pixels' cross-entropies, in place of their mean.

    :math:`L=\max_w\sum_i w_i\ell_i` over the valid pixels of the batch, see
    :func:`pooling_weights`: hard pixels weigh more. At least the mean cross-entropy, and equal to
    it for ``ratio=1``. The gradient is w (Danskin's theorem), so w carries none itself.

    Reference: Rota Bulò, Neuhold and Kontschieder, *Loss Max-Pooling for Semantic Image
    Segmentation*, CVPR 2017, https://arxiv.org/abs/1704.02966. The defaults are those of public
    code, not verified in the paper; that code also takes the whole batch as one set. Unlike it,
    pixels without loss do not take weight from the hardest ones, and the bound on the p-norm holds
    exactly.

    Args:
        ratio: Least share of the valid pixels that has weight, in (0, 1].
        p: Norm that bounds the weights, above 1 (large: nearly uniform weights).
        ignore_index: Label of void.

    Raises:
        ValueError: On wrong options.

    Example:
        >>> loss = LossMaxPooling()
        >>> logits = torch.tensor([[[[9.0, 9.0, 0.0]], [[-9.0, -9.0, 0.0]]]])
        >>> loss(logits, torch.tensor([[[0, 0, 0]]]))  # the mean is log(2) / 3 = 0.231
        tensor(0.4409)
    """

    recommended_weight: ClassVar[float] = 1.0
    replaces_cross_entropy: ClassVar[bool] = True

    def __init__(self, ratio: float = 0.3, p: float = 1.7, ignore_index: int = 255) -> None:
        super().__init__(ignore_index)
        if not 0 < ratio <= 1:
            raise ValueError(f"ratio must be above 0 and at most 1, got {ratio}")
        if not 1 < p < float("inf"):
            raise ValueError(f"p must be above 1 and finite, got {p}")
        self.ratio = ratio
        self.p = p

    def value(self, scores: Tensor, labels: Tensor, valid: Tensor) -> Tensor:
        """See :meth:`RivalLoss.value`."""
        losses = F.cross_entropy(*valid_pixels(scores, labels, valid), reduction="none")
        return (pooling_weights(losses, self.ratio, self.p) * losses).sum()
