"""Lovász-Softmax loss (Berman et al.): the convex surrogate of the Jaccard loss."""

from typing import ClassVar

import torch
from torch import Tensor

from reproduce.losses.rival import RivalLoss, valid_pixels


def jaccard_steps(inside: Tensor) -> Tensor:
    """What each further wrong pixel adds to the Jaccard loss of a class.

    The counts are integers and their quotients float64: in float32, as usual, the differences of a
    million pixels would keep one digit.

    Args:
        inside: ``(..., n)`` bool, of the class or not, by falling error.

    Returns:
        ``(..., n)`` float64, at least 0, with sum 1.

    Example:
        >>> jaccard_steps(torch.tensor([True, False, True, False]))
        tensor([0.5000, 0.1667, 0.3333, 0.0000], dtype=torch.float64)
    """
    hits = inside.sum(-1, keepdim=True) - inside.cumsum(-1)
    union = inside.sum(-1, keepdim=True) + (~inside).cumsum(-1)
    loss = 1 - hits.double() / union
    return torch.cat([loss[..., :1], loss.diff(dim=-1)], -1)


def lovasz_softmax(probability: Tensor, labels: Tensor) -> Tensor:
    r"""Lovász extension of the Jaccard loss, mean over the classes present.

    Args:
        probability: ``(n, C)`` softmax of the pixels.
        labels: ``(n,)`` int64.

    Returns:
        Scalar between 0 and 1.

    Example:
        >>> lovasz_softmax(torch.tensor([[1.0, 0.0], [0.0, 1.0]]), torch.tensor([0, 0]))
        tensor(0.5000)
    """
    present = torch.bincount(labels, minlength=probability.shape[1]).nonzero().squeeze(1)
    inside = labels == present.unsqueeze(1)
    errors = (inside.to(probability) - probability.T[present]).abs()
    errors, order = errors.sort(dim=1, descending=True)
    steps = jaccard_steps(inside.gather(1, order)).to(errors)
    losses: Tensor = (errors * steps).sum(1)
    return losses.mean()


class LovaszLoss(RivalLoss):
    r"""Lovász-Softmax loss over the valid pixels of the batch.

    For each class present, with errors :math:`e_i=|g_i-p_i|` by falling size, :math:`\sum_i e_i
    (\Delta_i-\Delta_{i-1})`, where :math:`\Delta_i` is the Jaccard loss if the i worst pixels were
    wrong; the loss is the mean over these classes.

    Reference: Berman et al., *The Lovász-Softmax loss: a tractable surrogate for the optimization
    of the intersection-over-union measure in neural networks*, CVPR 2018,
    https://arxiv.org/abs/1705.08790 (Algorithm 1).

    Not wrapped: ``segmentation_models_pytorch``'s ``LovaszLoss`` returns an empty tensor of shape
    (0, C) for a batch that is all void (with ``per_image``: for a batch with one such image), and
    refuses float64.

    Args:
        ignore_index: Label of void.

    Example:
        >>> loss = LovaszLoss()
        >>> loss(torch.zeros(1, 2, 4, 4), torch.zeros(1, 4, 4, dtype=torch.long))
        tensor(0.5000)
    """

    recommended_weight: ClassVar[float] = 1.0  # the common sum with cross-entropy

    def value(self, scores: Tensor, labels: Tensor, valid: Tensor) -> Tensor:
        """See :meth:`RivalLoss.value`."""
        z, y = valid_pixels(scores, labels, valid)
        return lovasz_softmax(z.softmax(1), y)
