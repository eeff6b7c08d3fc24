"""Mumford-Shah loss (Kim and Ye): piecewise constant fit of the label, plus total variation."""

from typing import ClassVar

import torch
from torch import Tensor

from reproduce.losses.rival import RivalLoss, one_hot
from reproduce.losses.variation import total_variation


def constant_fit(maps: Tensor, image: Tensor) -> Tensor:
    r"""Fit :math:`\sum_l\sum_r|f(r)-c_l|^2\,y_l(r)` of a one-hot image f.

    :math:`c_l=\sum f y_l/\sum y_l`, per image. With :math:`a_{lk}=\sum_r y_l f_k` this is
    :math:`\sum_{lk} c_{lk}(\sum_j a_{lj}-a_{lk})`: the impurity of each region's labels. The sums
    are in float64, which autocast leaves alone in the backward pass, too.

    Args:
        maps: ``(B, C, H, W)`` y, probabilities.
        image: ``(B, C, H, W)`` f, one-hot; 0 at void pixels, which leaves them out.

    Returns:
        Scalar between 0 (each region holds one label) and the number of valid pixels.

    Example:
        >>> image = torch.eye(2).view(1, 2, 1, 2)
        >>> constant_fit(image, image), constant_fit(torch.full_like(image, 0.5), image)
        (tensor(0.), tensor(1.))
    """
    mass = maps.double().flatten(2) @ image.double().flatten(2).mT
    total = mass.sum(-1, keepdim=True)
    mean = mass / total.clamp(min=torch.finfo(mass.dtype).tiny)
    return (mean * (total - mass)).sum().to(maps.dtype)


class MumfordShahLoss(RivalLoss):
    r"""Piecewise constant Mumford-Shah energy of the one-hot target, per valid pixel of the batch.

    .. math:: L = \frac1n\sum_l\Big(\sum_r|f(r)-c_l|^2y_l(r)+\lambda\sum_r|\nabla y_l(r)|\Big)

    with y the softmax, :math:`c_l` the mean of f under :math:`y_l` in each image, and n the valid
    pixels.

    Reference: Kim and Ye, *Mumford-Shah Loss Functional for Image Segmentation with Deep Learning*,
    IEEE TIP 2020, https://arxiv.org/abs/1904.02872.

    Departure: in the paper f is the input image, and the loss serves training with few labels. A
    loss of logits and target has no image, so f is the one-hot target: the multiphase relative of
    the level set loss, with regions in place of the Heaviside function. Like it, this loss is blind
    to an exchange of the classes (any pure regions will do): train with it beside cross-entropy
    only. The variation is isotropic (the authors' code adds up the absolute differences).

    Args:
        lam: Weight of the total variation, 1e-3 in the authors' code.
        ignore_index: Label of void.

    Raises:
        ValueError: On wrong options.

    Example:
        >>> loss = MumfordShahLoss()
        >>> loss(torch.zeros(1, 2, 1, 2), torch.tensor([[[0, 1]]]))
        tensor(0.5000)
    """

    recommended_weight: ClassVar[float] = 1.0  # our choice, not tuned

    def __init__(self, lam: float = 1e-3, ignore_index: int = 255) -> None:
        super().__init__(ignore_index)
        if lam < 0:
            raise ValueError(f"lam must be at least 0, got {lam}")
        self.lam = lam

    def value(self, scores: Tensor, labels: Tensor, valid: Tensor) -> Tensor:
        """See :meth:`RivalLoss.value`."""
        maps = scores.softmax(1)
        fit = constant_fit(maps, one_hot(labels, valid, scores.shape[1], scores.dtype))
        return (fit + self.lam * total_variation(maps, valid)) / valid.sum()
