"""Total variation of probability maps: the length of soft contours."""

from torch import Tensor
from torch.nn import functional as F


def total_variation(maps: Tensor, valid: Tensor, eps: float = 1e-8) -> Tensor:
    r"""Sum of :math:`\sqrt{|\nabla u|^2+\epsilon}-\sqrt\epsilon` over classes and pixels.

    The gradient is of forward differences. A difference to a void pixel, or over the edge of the
    image, counts as 0, so void leaves the sum. A constant map has length 0.

    Args:
        maps: ``(B, C, H, W)``.
        valid: ``(B, H, W)`` bool.
        eps: Smooths the root at 0.

    Returns:
        Scalar, at least 0. The contour of a straight edge of a hard map has about its length.

    Example:
        >>> import torch
        >>> maps = torch.tensor([[[[0.0, 0.0, 1.0], [0.0, 0.0, 1.0]]]])
        >>> total_variation(maps, torch.ones(1, 2, 3, dtype=torch.bool)).round(decimals=3)
        tensor(2.)
    """
    known = valid.unsqueeze(1)
    right = maps.diff(dim=3) * (known[..., 1:] & known[..., :-1])
    down = maps.diff(dim=2) * (known[..., 1:, :] & known[..., :-1, :])
    squared = F.pad(right, (0, 1)) ** 2 + F.pad(down, (0, 0, 0, 1)) ** 2
    length: Tensor = (squared + eps).sqrt() - eps**0.5
    return length.sum()
