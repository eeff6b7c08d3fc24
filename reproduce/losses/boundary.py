"""Boundary loss (Kervadec et al.): probabilities times signed distances to the true boundary."""

from typing import ClassVar

import torch
from torch import Tensor

from reproduce.losses.rival import RivalLoss


@torch.compiler.disable  # type: ignore[untyped-decorator]
def signed_distances(labels: Tensor, valid: Tensor, num_classes: int) -> Tensor:
    r"""Signed Euclidean distance in pixels of each pixel to the boundary of each class.

    Outside the class, the distance to its nearest pixel; inside, minus the distance to the nearest
    valid pixel of another class, plus 1 (so 0 on the inner rim). It is 0 at void pixels, and
    everywhere for a class that the image lacks or that fills it: these have no boundary. Void is
    neither inside nor outside: distances are measured across it.

    Args:
        labels: ``(B, H, W)`` int64 in ``[0, C)``, also at void pixels.
        valid: ``(B, H, W)`` bool.
        num_classes: C.

    Returns:
        ``(B, C, H, W)`` float64 on the device of ``labels``.

    Example:
        >>> signed_distances(torch.tensor([[[0, 0, 1, 1]]]), torch.ones(1, 1, 4).bool(), 2)[0, :, 0]
        tensor([[-1.,  0.,  1.,  2.],
                [ 2.,  1.,  0., -1.]], dtype=torch.float64)
    """
    from scipy.ndimage import distance_transform_edt

    maps = torch.zeros(len(labels), num_classes, *labels.shape[1:], dtype=torch.float64)
    known = valid.cpu().numpy()
    for i, truth in enumerate(labels.cpu().numpy()):
        for label in range(num_classes):
            inside = known[i] & (truth == label)
            outside = known[i] & (truth != label)
            if inside.any() and outside.any():
                distance = distance_transform_edt(~inside)
                depth = distance_transform_edt(~outside)
                maps[i, label] = torch.from_numpy(distance * outside - (depth - 1) * inside)
    return maps.to(labels.device)


class BoundaryLoss(RivalLoss):
    r"""Mean over the valid pixels of :math:`\sum_l\phi_l\,p_l`.

    Here p is the softmax and :math:`\phi_l` the signed distance to the boundary of class l in the
    target (:func:`signed_distances`).

    Reference: Kervadec et al., *Boundary loss for highly unbalanced segmentation*, MIDL 2019,
    https://arxiv.org/abs/1812.07032. Distances as in the authors' code.

    Departures: summed over the classes that have a boundary in the image, void left out. A class
    that the image lacks costs nothing here, so the loss needs a regional one beside it, and it
    wants a warm-up: the authors start from a weight of 0.01 and raise it every epoch. The distances
    are computed on the CPU at each call, twice for each class and image, which takes about 20 ms
    for 512x512 pixels: use it on a grid of coarse logits.

    Args:
        ignore_index: Label of void.

    Example:
        >>> loss = BoundaryLoss()
        >>> loss(torch.zeros(1, 2, 1, 4), torch.tensor([[[0, 0, 1, 1]]]))  # (-1 + 0 + 1 + 2) / 4
        tensor(0.5000)
    """

    recommended_weight: ClassVar[float] = 0.01  # where the authors' schedule starts

    def value(self, scores: Tensor, labels: Tensor, valid: Tensor) -> Tensor:
        """See :meth:`RivalLoss.value`."""
        phi: Tensor = signed_distances(labels, valid, scores.shape[1])
        return (phi.to(scores) * scores.softmax(1)).sum() / valid.sum()
