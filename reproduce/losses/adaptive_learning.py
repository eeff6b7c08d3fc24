"""Locally adaptive learning loss (Guo et al.), the L^AD of the paper's Table 5; reconstructed."""

import math
from typing import ClassVar, Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from reproduce.losses.rival import RivalLoss


def merge_same_label(
    maps: Tensor, labels: Tensor, window: int, stride: int, sigma: float
) -> Tensor:
    r"""Weighted mean over a window of the pixels that share the label of its centre c.

    .. math:: \bar z_c=\frac{\sum_i g(d_i)[y_i=y_c]z_i}{\sum_i g(d_i)[y_i=y_c]},\qquad
        g(d)=e^{-d^2/2\sigma^2}

    with d the chessboard distance to the centre. One shifted copy of the maps is added at a time,
    so memory does not grow with the window.

    Args:
        maps: ``(B, C, H, W)``.
        labels: ``(B, H, W)``, negative at void pixels.
        window: Odd side of the window.
        stride: Step between centres, the first of which is pixel (0, 0).
        sigma: Width of the weights.

    Returns:
        ``(B, C, ceil(H / stride), ceil(W / stride))``, 0 where the centre is void.

    Example:
        >>> maps = torch.tensor([[[[1.0, 3.0, 9.0]]]])
        >>> merge_same_label(maps, torch.tensor([[[0, 0, 1]]]), window=3, stride=1, sigma=1e6)
        tensor([[[[2., 2., 9.]]]])
    """
    height, width = labels.shape[1:]
    radius = window // 2
    centre = labels[:, ::stride, ::stride]
    around = F.pad(labels, [radius] * 4, value=-1)
    padded = F.pad(maps, [radius] * 4)
    merged = maps.new_zeros(()).expand(*maps.shape[:2], *centre.shape[1:])
    mass = maps.new_zeros(()).expand(centre.shape)
    for y in range(window):
        for x in range(window):
            distance = max(abs(y - radius), abs(x - radius))
            at = (..., slice(y, y + height, stride), slice(x, x + width, stride))
            same = ((around[at] == centre) & (centre >= 0)).to(maps.dtype)
            weight = same * math.exp(-((distance / sigma) ** 2) / 2)
            merged = merged + weight.unsqueeze(1) * padded[at]
            mass = mass + weight
    return merged / mass.masked_fill(mass == 0, 1).unsqueeze(1)


def minkowski_pool(losses: Tensor, k: float) -> Tensor:
    r"""Power mean :math:`(\frac1M\sum\ell^k)^{1/k}` of M losses, safe from overflow.

    Args:
        losses: ``(M,)``, at least 0.
        k: Exponent, at least 1; the larger, the nearer to the maximum.

    Returns:
        Scalar; its gradient is 0 where all losses are 0, and where there are none.

    Example:
        >>> minkowski_pool(torch.tensor([3.0, 4.0]), k=2.0) ** 2
        tensor(12.5000)
    """
    if not len(losses):
        return losses.sum()
    tiny = torch.finfo(losses.dtype).tiny
    largest = losses.detach().max().clamp(min=tiny)
    mean = ((losses / largest) ** k).mean()
    return largest * mean.clamp(min=tiny) ** (1 / k)


class AdaptiveLearningLoss(RivalLoss):
    r"""Locally adaptive learning loss, in place of cross-entropy. A reconstruction.

    A window slides over the map; the predictions in it that share the centre's label are merged
    (:func:`merge_same_label`), the merged vector is charged the cross-entropy of that label, and
    the windows whose centre is valid are combined by Minkowski pooling (:func:`minkowski_pool`).

    Reference: Guo et al., *Locally Adaptive Learning Loss for Semantic Image Segmentation*, 2018,
    https://arxiv.org/abs/1802.08290.

    **Reconstructed** from the abstract and two reviews: known are the merging of equal labels with
    Gaussian weights of the chessboard distance, the normalisation by the mass, the cross-entropy of
    the merged vector and the pooling with k = 5 (best on VOC). Window, stride and sigma are our
    choices, and so are that the label is the centre's and that logits are merged, not
    probabilities. There is no public implementation to compare with.

    Args:
        window: Odd side of the window.
        stride: Step between windows.
        sigma: Width of the Gaussian weights; ``None``: a quarter of the window.
        k: Exponent of the pooling.
        merge: What is merged, ``logits`` or ``probabilities``.
        ignore_index: Label of void.

    Raises:
        ValueError: On wrong options.

    Example:
        >>> loss = AdaptiveLearningLoss()
        >>> loss(torch.zeros(1, 2, 4, 4), torch.zeros(1, 4, 4, dtype=torch.long))
        tensor(0.6931)
    """

    recommended_weight: ClassVar[float] = 1.0
    replaces_cross_entropy: ClassVar[bool] = True

    def __init__(
        self,
        window: int = 7,
        stride: int = 1,
        sigma: float | None = None,
        k: float = 5.0,
        merge: Literal["logits", "probabilities"] = "logits",
        ignore_index: int = 255,
    ) -> None:
        super().__init__(ignore_index)
        if window < 1 or window % 2 == 0:
            raise ValueError(f"window must be odd and positive, got {window}")
        if stride < 1 or k < 1:
            raise ValueError(f"stride and k must be at least 1, got {stride} and {k}")
        if sigma is not None and not sigma > 0:
            raise ValueError(f"sigma must be positive or None, got {sigma}")
        if merge not in {"logits", "probabilities"}:
            raise ValueError(f"merge must be logits or probabilities, got {merge!r}")
        self.window = window
        self.stride = stride
        self.sigma = window / 4 if sigma is None else sigma
        self.k = k
        self.merge = merge

    def value(self, scores: Tensor, labels: Tensor, valid: Tensor) -> Tensor:
        """See :meth:`RivalLoss.value`."""
        logits = self.merge == "logits"
        known = labels.masked_fill(~valid, -1)
        merged = merge_same_label(
            scores if logits else scores.softmax(1), known, self.window, self.stride, self.sigma
        )
        centre = known[:, :: self.stride, :: self.stride]
        rows, label = merged.movedim(1, -1)[centre >= 0], centre[centre >= 0]
        if not logits:
            rows = rows.clamp(min=torch.finfo(rows.dtype).tiny).log()
            return minkowski_pool(F.nll_loss(rows, label, reduction="none"), self.k)
        return minkowski_pool(F.cross_entropy(rows, label, reduction="none"), self.k)
