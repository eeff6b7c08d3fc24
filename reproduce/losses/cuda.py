"""Fused loss of float32 and half logits on a GPU: what launches the kernels in ``cuda_kernels.py``.

The forward pass reads the logits once and keeps two numbers a pixel; the backward pass reads them
again and writes the gradient, in their dtype and with the upstream factor applied. Nothing waits
for the GPU. So a wrong label is known late: loss and gradient of that call are NaN, and the
``ValueError`` comes from the first later call that finds the labels checked.
"""

import importlib.util
import logging
import math
import os
import threading
from collections import deque
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor

from reproduce.losses.heaviside import HeavisideKind
from reproduce.losses.native import KINDS, SWITCH

log = logging.getLogger(__name__)

DTYPES = (torch.float32, torch.bfloat16, torch.float16)
#: More would not fit into the registers of the kernel that adds the sums up.
MAX_CLASSES = 1024
#: Bytes of one class's logits that a program reads at once: 16 for each of 4 warps' threads.
ROW_BYTES = 2048
#: Classes read at once by the first pass: compiled for sm_90, it keeps 32 KB and more in flight on
#: a multiprocessor. The second has more to hold: by bytes of a logit.
ROWS, GRADIENT_ROWS = 4, {4: 2, 2: 1}
#: Pixels of a block of labels.
LABEL_BLOCK = 2048
#: Partial sums of a term that are added at once.
SUMS = 4096


def can_use(logits: Tensor, target: Tensor, kind: str) -> bool:
    """Whether the kernels are made for these inputs, seen from their metadata alone."""
    return (
        logits.device.type == "cuda"
        and target.device == logits.device
        and logits.dtype in DTYPES
        and kind in KINDS
        and logits.numel() > 0
        and logits.shape[1] <= MAX_CLASSES
        and target.shape[1] * target.shape[2] < 2**30
    )


@torch.compiler.assume_constant_result  # type: ignore[untyped-decorator]
def works(device: torch.device, dtype: torch.dtype) -> bool:
    """Whether Triton is there and compiles the kernels for a GPU: tried once in a process."""
    if os.environ.get(SWITCH) == "0" or torch.version.hip:  # AMD: never tried
        return False
    if (device, dtype) not in _tried:
        _tried[device, dtype] = _try(device, dtype)
    return _tried[device, dtype]


_tried: dict[tuple[torch.device, torch.dtype], bool] = {}


def _try(device: torch.device, dtype: torch.dtype) -> bool:
    if importlib.util.find_spec("triton") is None:
        log.debug("no GPU kernels for the loss: no triton")
        return False
    check_earlier_labels()  # their error is not the kernels'
    try:
        with torch.enable_grad(), torch.inference_mode(mode=False):
            logits = torch.zeros(1, 2, 4, 4, device=device, dtype=dtype, requires_grad=True)
            target = torch.zeros(1, 4, 4, device=device, dtype=torch.long)
            loss, *_ = cuda_terms(logits, target, 0.1, "mahf", 0.05, 255, None)
            torch.autograd.grad(loss, logits)
            return math.isfinite(loss.item())
    except Exception as error:  # noqa: BLE001 - the PyTorch path does as well
        log.warning("the loss does without GPU kernels: %s: %s", type(error).__name__, error)
        return False


class _Labels(NamedTuple):
    """Extreme labels of a call on their way to the host."""

    extremes: Tensor
    arrived: torch.cuda.Event
    classes: int
    ignore: int


_unchecked: deque[_Labels] = deque()
_lock = threading.Lock()


def _check(extremes: Tensor, classes: int, ignore: int, when: str = "") -> None:
    low, high = extremes.tolist()
    if low < 0 or high >= classes:
        raise ValueError(
            f"target{when} holds label {low if low < 0 else high}, "
            f"expected 0 to {classes - 1} or {ignore} (void)"
        )


def _capturing() -> bool:
    """Whether a CUDA graph is being captured: no event may be asked then (NaN still shows)."""
    return torch.cuda.is_current_stream_capturing()


def check_earlier_labels() -> None:
    """Look at the labels of earlier calls that the GPUs have got to, without waiting for them.

    Raises:
        ValueError: If one is neither void nor a class.
    """
    with _lock:
        while _unchecked and not _capturing() and _unchecked[0].arrived.query():  # type: ignore[no-untyped-call]
            extremes, _, classes, ignore = _unchecked.popleft()
            _check(extremes, classes, ignore, " of an earlier call")


def _check_later(extremes: Tensor, classes: int, ignore: int) -> None:
    if not extremes.is_cuda:  # Triton's interpreter
        _check(extremes, classes, ignore)
    elif not _capturing():
        host = torch.empty(2, dtype=torch.int64, pin_memory=True)
        host.copy_(extremes, non_blocking=True)
        arrived = torch.cuda.Event()  # type: ignore[no-untyped-call]
        arrived.record()
        with _lock:
            _unchecked.append(_Labels(host, arrived, classes, ignore))


def _power(number: int) -> int:
    """The power of two at or above it."""
    return 1 << max(number - 1, 0).bit_length()


def _cut(logits: Tensor) -> tuple[int, int, int]:
    """Pixels of an image, pixels of a block, blocks of an image."""
    pixels, block = logits.shape[2] * logits.shape[3], ROW_BYTES // logits.element_size()
    return pixels, block, -(-pixels // block)


@torch.library.custom_op("level_set_loss::cuda_terms", mutates_args=())
def _terms(
    logits: Tensor,
    target: Tensor,
    lam: float,
    kind: str,
    eps: float,
    ignore_index: int,
    reference_area: float | None,
    keep: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Loss, cross-entropy, energy, and what :func:`_gradient` wants (nothing if not ``keep``)."""
    from reproduce.losses import cuda_kernels as kernels

    check_earlier_labels()
    batch, classes = logits.shape[:2]
    pixels, block, blocks = _cut(logits)
    with torch.cuda.device(logits.get_device()):
        number = KINDS[kind]  # type: ignore[index]
        constant = (2 / eps, 1 / (math.pi * eps), 0.0)[number]
        real = partial(logits.new_empty, dtype=torch.float32)
        present = logits.new_zeros((batch, classes), dtype=torch.int32)
        valid = logits.new_zeros(batch, dtype=torch.int32)
        extremes = logits.new_zeros(2, dtype=torch.int64)
        labels = logits.new_empty((batch, pixels), dtype=torch.int16)
        label_blocks = -(-pixels // LABEL_BLOCK)
        kernels.labels_kernel[batch * label_blocks,](
            *(target.contiguous(), labels, present, valid, extremes),
            *(pixels, classes, label_blocks, ignore_index),
            block=LABEL_BLOCK,
        )
        largest = logits.new_empty((batch, pixels) if keep else (0,))
        inverse = real((batch, pixels) if keep else (0,))
        nll = real((batch, blocks))
        sums = real((batch, blocks, 4, classes))
        kernels.sums_kernel[batch * blocks,](
            *(logits, labels, present, largest, inverse, nll, sums, pixels, classes, blocks),
            1 / eps,
            kind=number,
            keep=keep,
            rows=ROWS,
            block=block,
        )
        slopes = real((batch, classes, 2))
        images = logits.new_empty((2, batch), dtype=torch.float64)
        width = _power(classes)
        kernels.energy_kernel[batch,](
            *(sums, nll, present, valid, slopes, images, classes, blocks, batch),
            *(lam, reference_area or 0.0, constant),
            width=width,
            rows=max(SUMS // width, 1),
            num_warps=8,
        )
        total, ce_mean, ls_mean, weight = (real(()) for _ in range(4))
        kernels.terms_kernel[1,](
            *(images, valid, extremes, total, ce_mean, ls_mean, weight),
            *(classes, batch, lam),
            width=_power(batch),
        )
        _check_later(extremes, classes, ignore_index)
    return total, ce_mean, ls_mean, weight, labels, largest, inverse, slopes


@_terms.register_fake
def _(
    logits: Tensor,
    target: Tensor,  # noqa: ARG001 - the operator's signature
    lam: float,  # noqa: ARG001
    kind: str,  # noqa: ARG001
    eps: float,  # noqa: ARG001
    ignore_index: int,  # noqa: ARG001
    reference_area: float | None,  # noqa: ARG001
    keep: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    batch, classes, height, width = logits.shape
    total, ce_mean, ls_mean, weight = (logits.new_empty((), dtype=torch.float32) for _ in range(4))
    labels = logits.new_empty((batch, height * width), dtype=torch.int16)
    kept = (batch, height * width) if keep else (0,)
    largest, inverse = logits.new_empty(kept), logits.new_empty(kept, dtype=torch.float32)
    slopes = logits.new_empty((batch, classes, 2), dtype=torch.float32)
    return total, ce_mean, ls_mean, weight, labels, largest, inverse, slopes


@torch.library.custom_op("level_set_loss::cuda_gradient", mutates_args=())
def _gradient(
    upstream: Tensor,
    logits: Tensor,
    labels: Tensor,
    largest: Tensor,
    inverse: Tensor,
    slopes: Tensor,
    weight: Tensor,
    kind: str,
    eps: float,
) -> Tensor:
    """Gradient of ``upstream`` times the loss, in the logits' dtype."""
    from reproduce.losses import cuda_kernels as kernels

    grad = torch.empty_like(logits)
    pixels, block, blocks = _cut(logits)
    with torch.cuda.device(logits.get_device()):
        kernels.gradient_kernel[len(logits) * blocks,](
            *(upstream, logits, labels, largest, inverse, slopes, weight, grad),
            *(pixels, logits.shape[1], blocks, 1 / eps),
            kind=KINDS[kind],  # type: ignore[index]
            rows=GRADIENT_ROWS[logits.element_size()],
            block=block,
        )
    return grad


@_gradient.register_fake
def _(
    upstream: Tensor,  # noqa: ARG001 - the operator's signature
    logits: Tensor,
    *_: Any,  # noqa: ANN401
) -> Tensor:
    return torch.empty_like(logits)


def _keep(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:  # noqa: ANN401 - torch passes an untyped context
    logits, _, _, ctx.kind, ctx.eps, *_ = inputs
    weight, labels, largest, inverse, slopes = output[3:]
    ctx.save_for_backward(logits, labels, largest, inverse, slopes, weight)


def _backward(ctx: Any, upstream: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401 - torch passes an untyped context
    return _gradient(upstream, *ctx.saved_tensors, ctx.kind, ctx.eps), *[None] * 7


_terms.register_autograd(_backward, setup_context=_keep)


def cuda_terms(
    logits: Tensor,
    target: Tensor,
    lam: float,
    kind: HeavisideKind,
    eps: float,
    ignore_index: int,
    reference_area: float | None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Loss, which carries the gradient, cross-entropy and energy of a batch, in float32.

    Args:
        logits: ``(B, C, H, W)``, such that :func:`can_use`.
        target: ``(B, H, W)`` integer labels.
        lam: Weight of the energy.
        kind: One of ``native.KINDS``.
        eps: Width of the Heaviside function.
        ignore_index: Label of void.
        reference_area: In pixels, or ``None``.

    Raises:
        ValueError: If a target of an earlier call held a label that is neither void nor a class.
    """
    keep = torch.is_grad_enabled() and logits.requires_grad
    total, ce_mean, ls_mean, *_ = _terms(
        logits.contiguous(), target, float(lam), kind, eps, ignore_index, reference_area, keep
    )
    return total, ce_mean.detach(), ls_mean.detach()
