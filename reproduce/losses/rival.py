"""What the losses compared with the level set loss share: void, precision and the empty batch."""

from typing import ClassVar

import torch
from torch import Tensor, nn

from reproduce.losses.level_set import check_labels, check_shapes


def one_hot(labels: Tensor, valid: Tensor, num_classes: int, dtype: torch.dtype) -> Tensor:
    """One map for each class, 0 at void pixels.

    Args:
        labels: ``(B, H, W)`` int64 in ``[0, C)``, also at void pixels.
        valid: ``(B, H, W)`` bool, false at void pixels.
        num_classes: C.
        dtype: Of the result.

    Returns:
        ``(B, C, H, W)`` maps of 0 and 1.

    Example:
        >>> labels, valid = torch.tensor([[[0, 1, 1]]]), torch.tensor([[[True, True, False]]])
        >>> one_hot(labels, valid, 2, torch.float32)[0, :, 0]
        tensor([[1., 0., 0.],
                [0., 1., 0.]])
    """
    batch, height, width = labels.shape
    maps = torch.zeros(batch, num_classes, height, width, dtype=dtype, device=labels.device)
    return maps.scatter_(1, labels.unsqueeze(1), valid.unsqueeze(1).to(dtype))


def valid_pixels(scores: Tensor, labels: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
    """The n valid pixels of a batch in a row: ``(n, C)`` scores and ``(n,)`` labels.

    Args:
        scores: ``(B, C, H, W)``.
        labels: ``(B, H, W)``.
        valid: ``(B, H, W)`` bool.
    """
    return scores.movedim(1, -1)[valid], labels[valid]


class RivalLoss(nn.Module):
    """Base class of the losses compared with the level set loss; a subclass gives ``value``.

    Void leaves every sum because ``value`` never sees it: the logits there are replaced by 0, so
    the gradient there is exactly 0 whatever they hold. Computed in float32 (float64 for float64
    logits), also under autocast. The loss of a batch that is all void is 0, with zero gradient.

    Args:
        ignore_index: Label of void.

    Attributes:
        recommended_weight: w of ``cross-entropy + w * loss`` to start from.
        replaces_cross_entropy: Whether it stands in place of cross-entropy, not beside it.

    Example:
        >>> class Wrong(RivalLoss):
        ...     def value(self, scores, labels, valid):
        ...         return (scores.argmax(1) != labels)[valid].float().mean()
        >>> Wrong()(torch.zeros(1, 2, 1, 3), torch.tensor([[[0, 1, 255]]]))
        tensor(0.5000)
    """

    recommended_weight: ClassVar[float] = 1.0
    replaces_cross_entropy: ClassVar[bool] = False

    def __init__(self, ignore_index: int = 255) -> None:
        super().__init__()
        self.ignore_index = ignore_index

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """Loss of a batch.

        Args:
            logits: ``(B, C, H, W)``.
            target: ``(B, H, W)`` integer labels in ``[0, C)`` or ``ignore_index``.

        Returns:
            Scalar in float32 (float64 for float64 logits).

        Raises:
            ValueError: On wrong shapes, dtypes or labels.
        """
        check_shapes(logits, target)
        valid = check_labels(target, logits.shape[1], self.ignore_index)
        with torch.autocast(logits.device.type, enabled=False):
            scores = logits.to(torch.promote_types(logits.dtype, torch.float32))
            scores = scores.masked_fill(~valid.unsqueeze(1), 0)
            if not valid.any():
                return scores.sum()
            return self.value(scores, target.long().masked_fill(~valid, 0), valid)

    def value(self, scores: Tensor, labels: Tensor, valid: Tensor) -> Tensor:
        """Loss of a batch that holds at least one valid pixel.

        Args:
            scores: ``(B, C, H, W)`` logits in float32 or float64, 0 at void pixels.
            labels: ``(B, H, W)`` int64 in ``[0, C)``, 0 at void pixels.
            valid: ``(B, H, W)`` bool, false at void pixels.

        Returns:
            Scalar.
        """
        raise NotImplementedError

    def extra_repr(self) -> str:
        """Options, for ``print(loss)``."""
        return ", ".join(
            f"{name}={value!r}"
            for name, value in vars(self).items()
            if not (name.startswith("_") or name == "training" or callable(value))
        )
