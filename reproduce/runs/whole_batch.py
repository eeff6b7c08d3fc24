"""The processes of a run act as one: their batches together are the batch of a single device."""

from collections.abc import Callable
from typing import Any

import lightning as L
import torch
from torch import Tensor

from reproduce.models import SegmentationModule
from reproduce.runs.batch_norm import synchronise


def _gather(values: Tensor) -> Tensor:
    """The values of all processes, in the order in which one process would load them."""
    world = torch.distributed.get_world_size()
    parts = [torch.empty_like(values) for _ in range(world)]
    torch.distributed.all_gather(parts, values.contiguous())
    return torch.stack(parts, 1).flatten(0, 1)


class _Gather(torch.autograd.Function):
    """:func:`_gather`, for a loss that every process computes in full.

    Its gradient is the part of this process, times their number: DDP takes the mean over them
    where the sum belongs.
    """

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:  # noqa: ANN401, ARG004 - torch's signature
        return _gather(values)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:  # noqa: ANN401, ARG004
        rank, world = torch.distributed.get_rank(), torch.distributed.get_world_size()
        return gradient[rank::world] * world


class WholeBatch(L.Callback):
    """Computes the loss of the whole batch in each of several processes, from all their logits.

    A mean of the processes' own losses would be another loss: cross-entropy is a mean over valid
    pixels, of which one part of the batch has more than another, and others (Dice, Lovász, loss
    max-pooling) are no means over images at all. Trained batch normalisation uses the statistics of
    the whole batch as well. What is left is rounding. Add it after callbacks that change the
    criterion.
    """

    def __init__(self) -> None:
        self._own: Callable[[Tensor, Tensor], Tensor] | None = None

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Exchange batch normalisations before DDP takes hold of the network."""
        if stage == "fit":
            synchronise(pl_module, trainer.strategy.root_device)

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:  # noqa: ARG002
        """Let the criterion see the whole batch."""
        if not isinstance(pl_module, SegmentationModule):
            return
        own: Callable[[Tensor, Tensor], Tensor] = pl_module.criterion.forward
        self._own = own

        def whole(logits: Tensor, target: Tensor) -> Tensor:
            return own(_Gather.apply(logits), _gather(target))

        pl_module.criterion.forward = whole

    def on_fit_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:  # noqa: ARG002
        """Give the criterion back as it was."""
        if self._own is not None and isinstance(pl_module, SegmentationModule):
            pl_module.criterion.forward = self._own
            self._own = None
