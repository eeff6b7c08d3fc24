"""Cross-entropy plus a weighted rival, as one criterion for a configuration file."""

from torch import Tensor, nn
from torch.nn import functional as F

from reproduce.losses.rival import RivalLoss, valid_pixels


class CrossEntropyLoss(RivalLoss):
    """Mean cross-entropy over the valid pixels of the batch, 0 (not nan) where there are none.

    Args:
        ignore_index: Label of void.

    Example:
        >>> import torch
        >>> loss = CrossEntropyLoss()
        >>> loss(torch.zeros(1, 2, 1, 2), torch.tensor([[[0, 1]]]))
        tensor(0.6931)
    """

    replaces_cross_entropy = True

    def value(self, scores: Tensor, labels: Tensor, valid: Tensor) -> Tensor:
        """See :meth:`RivalLoss.value`."""
        return F.cross_entropy(*valid_pixels(scores, labels, valid))


class CombinedLoss(nn.Module):
    """``cross-entropy + weight * rival``, or the weighted rival alone.

    In YAML::

        criterion:
          class_path: reproduce.losses.CombinedLoss
          init_args:
            rival: {class_path: reproduce.losses.BoundaryLoss}
            weight: 0.01

    Args:
        rival: Any loss of logits and target; its ``recommended_weight`` is a weight to start from.
        weight: Of the rival.
        cross_entropy: Whether cross-entropy is added. Turn it off for a rival that replaces it.
        ignore_index: Label of void.

    Raises:
        ValueError: If the rival takes another label as void, or the weight is negative.

    Example:
        >>> import torch
        >>> from reproduce.losses import DiceLoss
        >>> loss = CombinedLoss(DiceLoss(), weight=DiceLoss.recommended_weight)
        >>> loss(torch.zeros(1, 2, 4, 4), torch.zeros(1, 4, 4, dtype=torch.long))  # log(2) + 1/3
        tensor(1.0265)
    """

    def __init__(
        self,
        rival: nn.Module,
        weight: float = 1.0,
        cross_entropy: bool = True,
        ignore_index: int = 255,
    ) -> None:
        super().__init__()
        void = getattr(rival, "ignore_index", ignore_index)
        if void != ignore_index:
            raise ValueError(f"ignore_index is {ignore_index}, but {void} in {rival}")
        if weight < 0:
            raise ValueError(f"weight must be at least 0, got {weight}")
        self.rival = rival
        self.weight = weight
        self.ignore_index = ignore_index
        self.cross_entropy = CrossEntropyLoss(ignore_index) if cross_entropy else None

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """Loss of a batch.

        Args:
            logits: ``(B, C, H, W)``.
            target: ``(B, H, W)`` integer labels.

        Returns:
            Scalar in float32 (float64 for float64 logits).
        """
        total: Tensor = self.weight * self.rival(logits, target)
        return total if self.cross_entropy is None else self.cross_entropy(logits, target) + total

    def extra_repr(self) -> str:
        """Options, for ``print(loss)``."""
        return f"weight={self.weight}"
