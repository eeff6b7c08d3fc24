"""Batch normalisation over the batch of all processes, so that it is that of one device."""

from typing import Any

import torch
from torch import Tensor, nn


class _Mean(torch.autograd.Function):
    """Mean over the processes; its gradient is that of the mean of their losses."""

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:  # noqa: ANN401, ARG004 - torch's signature
        mean = values.clone()
        torch.distributed.all_reduce(mean)
        return mean / torch.distributed.get_world_size()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:  # noqa: ANN401, ARG004
        return _Mean.forward(None, gradient)


class CrossProcessBatchNorm(nn.BatchNorm2d):
    """Batch normalisation whose statistics in training are over all processes.

    Every process must have equally many values, as batches of one size and crop give. For CPUs:
    torch's own works on accelerators only.
    """

    def forward(self, images: Tensor) -> Tensor:
        """Normalise.

        Args:
            images: ``(B, C, H, W)``.
        """
        if not self.training:
            plain: Tensor = super().forward(images)
            return plain
        # Statistics of half-precision images are those of float32.
        wide = images.to(torch.promote_types(images.dtype, torch.float32))
        mean = _Mean.apply(wide.mean((0, 2, 3)))
        centred = wide - mean[:, None, None]
        variance = _Mean.apply(centred.square().mean((0, 2, 3)))
        self._keep(mean.detach(), variance.detach(), images.numel() // images.shape[1])
        scale = torch.rsqrt(variance + self.eps) * self.weight
        normalised: Tensor = centred * scale[:, None, None] + self.bias[:, None, None]
        return normalised.to(images.dtype)

    @torch.no_grad()
    def _keep(self, mean: Tensor, variance: Tensor, count: int) -> None:
        """Move the running statistics; that of the variance is unbiased."""
        if self.running_mean is None or self.running_var is None:
            return
        if self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)
        count *= torch.distributed.get_world_size()
        self.running_mean.lerp_(mean, self.momentum or 0.0)
        self.running_var.lerp_(variance * (count / (count - 1)), self.momentum or 0.0)


def synchronise(module: nn.Module, device: torch.device) -> None:
    """Let all trained batch normalisations of a network use the batch of all processes.

    Names and values in its state dict stay.

    Args:
        module: Changed in place; frozen normalisations, of which no parameter is trained, are not.
        device: Where it will be trained.
    """
    for name, child in module.named_children():
        if not isinstance(child, nn.BatchNorm2d):
            synchronise(child, device)
        elif child.weight.requires_grad:
            if device.type == "cpu":
                child.__class__ = CrossProcessBatchNorm  # which differs in its forward alone
            else:
                shared = nn.SyncBatchNorm.convert_sync_batchnorm(child)  # type: ignore[no-untyped-call]
                setattr(module, name, shared)
