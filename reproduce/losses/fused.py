"""Cross-entropy plus level set loss, eq. (8), in one pass over the logits."""

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from reproduce.losses.cuda import can_use, cuda_terms, works  # unscored
from reproduce.losses.heaviside import HeavisideKind, dirac, heaviside
from reproduce.losses.level_set import (
    check_labels,
    check_options,
    check_shapes,
    energy_scale,
    region_energy,
)
from reproduce.losses.native import KINDS, native_kernel, native_terms


class Terms(NamedTuple):
    """Both terms of eq. (8) and what is minimised.

    Attributes:
        loss: ``cross_entropy + lam * level_set``, a scalar that carries the gradient.
        cross_entropy: Mean over the valid pixels of the batch, detached scalar.
        level_set: Scaled energy, mean over the batch, detached scalar.
    """

    loss: Tensor
    cross_entropy: Tensor
    level_set: Tensor


class Options(NamedTuple):
    """Options of one call, those of :class:`CrossEntropyLevelSetLoss`."""

    lam: float
    kind: HeavisideKind
    eps: float
    ignore_index: int
    reference_area: float | None


#: Elements worked on at a time: few enough to stay in cache, many enough to hide call times.
CHUNK = 2**20
#: Computed by the C kernel where there is one; the sums are float32 and float64 in any case.
NATIVE_DTYPES = (torch.float32, torch.bfloat16, torch.float16)


def _pair_energies(
    probability: Tensor, inside: Tensor, valid: Tensor, weight: Tensor, options: Options
) -> tuple[Tensor, Tensor | None]:
    """Energy of each of M pairs of image and class, and ``weight * P * dE/dP`` (None: it is 0).

    Args:
        probability: ``(M, N)``.
        inside: ``(M, N)``, 1 where the pixel is of the class.
        valid: ``(M, N)``, 1 where it is not void; overwritten.
        weight: ``(M, 1)``.
        options: Those of the energy.
    """
    outside = valid.sub_(inside)
    phi = probability - 0.5
    step = heaviside(phi, options.kind, options.eps)
    energy, c1, c2 = region_energy(step, inside, outside)
    delta = dirac(phi, step, options.kind, options.eps)
    if delta is None:
        return energy, None
    # Eq. (7): (G - c1)^2 - (G - c2)^2 = (c2 - c1)(2G - c1 - c2), G = 1 inside and 0 outside.
    slope, mean = weight * (c2 - c1).unsqueeze(1), (c1 + c2).unsqueeze(1)
    factor = outside.mul_(-slope * mean).addcmul_(inside, slope * (2 - mean))
    return energy, delta.mul_(factor).mul_(probability)


def _pass(
    logits: Tensor,
    target: Tensor,
    grad: Tensor,
    ce_weight: float,
    ls_weight: Tensor,
    options: Options,
) -> tuple[Tensor, Tensor]:
    """Summed cross-entropy and energies of some images; the gradient is left in ``grad``.

    Args:
        logits: ``(b, C, N)``.
        target: ``(b, N)`` labels, C at void pixels.
        grad: ``(b, C, N)`` buffer, which holds exp(z - max z) on the way.
        ce_weight: Weight of a pixel's cross-entropy.
        ls_weight: ``(b,)`` weights of the energies of the images.
        options: Those of the energy.

    Returns:
        Scalar and ``(b,)``, float64.
    """
    images, num_classes, pixels = logits.shape
    valid = (target < num_classes).to(grad.dtype)
    index = target.clamp(max=num_classes - 1).unsqueeze(1)
    largest = logits.amax(1)
    torch.sub(logits, largest.unsqueeze(1), out=grad).exp_()
    normaliser = grad.sum(1)
    nll = largest.add_(normaliser.log()).sub_(logits.gather(1, index).squeeze(1)).mul_(valid)
    cross_entropy = nll.sum(dtype=torch.float64)
    normaliser.reciprocal_()
    factor = valid * ce_weight
    offsets = torch.arange(images, device=target.device).unsqueeze(1) * (num_classes + 1)
    counts = torch.bincount((target + offsets).flatten(), minlength=images * (num_classes + 1))
    present = counts.view(images, -1)[:, :num_classes].nonzero()
    energies = ls_weight.new_zeros(images)
    flat = grad.view(-1, pixels)
    parts = []
    for pairs in torch.split(present, max(CHUNK // max(pixels, 1), 1)):
        image, label = pairs.unbind(1)
        row = image * num_classes + label
        energy, part = _pair_energies(
            flat[row].mul_(normaliser[image]),
            (target[image] == label.unsqueeze(1)).to(grad.dtype),
            valid[image],
            ls_weight[image].unsqueeze(1).to(grad.dtype),
            options,
        )
        energies.index_add_(0, image, energy.double())
        if part is not None:
            factor.index_add_(0, image, part, alpha=-1)
            parts.append((row, part))
    # d/dz_k = ce_weight (P_k - [k = target]) + P_k (g_k - sum_l g_l P_l), with g = dE/dP.
    grad *= factor.mul_(normaliser).unsqueeze(1)
    for row, part in parts:
        flat.index_add_(0, row, part)
    grad.scatter_add_(1, index, valid.mul_(-ce_weight).unsqueeze(1))
    return cross_entropy, energies


def _torch_terms(
    logits: Tensor, target: Tensor, options: Options, *, keep: bool
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Terms and gradient in PyTorch, a few images at a time in one buffer; see :func:`_terms`."""
    batch, num_classes = logits.shape[:2]
    dtype = torch.promote_types(logits.dtype, torch.float32)
    valid = check_labels(target, num_classes, options.ignore_index)
    labels = target.masked_fill(~valid, num_classes).flatten(1).long()
    pixels = max(int(valid.sum()), 1)
    scale = energy_scale(valid, options.reference_area)
    step = max(CHUNK // max(num_classes * labels.shape[1], 1), 1)
    grad = logits.new_empty(
        (batch if keep else min(step, batch), num_classes, labels.shape[1]), dtype=dtype
    )
    cross_entropy = logits.new_zeros((), dtype=torch.float64)
    level_set = logits.new_zeros((), dtype=torch.float64)
    for i in range(0, batch, step):
        images = slice(i, min(i + step, batch))
        nll, energies = _pass(
            logits[images].flatten(2).to(dtype),
            labels[images],
            grad[images] if keep else grad[: images.stop - i],
            1 / pixels,
            scale[images] * (options.lam / batch),
            options,
        )
        cross_entropy += nll
        level_set += torch.dot(energies, scale[images])
    ce_mean, ls_mean = cross_entropy / pixels, level_set / batch
    total = ce_mean + options.lam * ls_mean
    kept = grad.view(logits.shape) if keep else grad.new_empty(0)
    return total.to(dtype), ce_mean.to(dtype), ls_mean.to(dtype), kept


def _terms(
    logits: Tensor, target: Tensor, options: Options, *, keep: bool
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Loss, cross-entropy, energy and the gradient of the loss.

    Args:
        logits: ``(B, C, H, W)``.
        target: ``(B, H, W)`` integer labels.
        options: Those of the loss.
        keep: Whether the gradient is wanted; without, an empty tensor stands for it.

    Returns:
        Scalars in float32 (float64 for float64 logits), and the gradient in the same dtype.
    """
    logits = logits.detach()
    kernel = None
    if logits.device.type == target.device.type == "cpu" and logits.dtype in NATIVE_DTYPES:
        kernel = native_kernel() if logits.numel() and options.kind in KINDS else None
    if kernel is None:
        with torch.autocast(logits.device.type, enabled=False):
            return _torch_terms(logits, target, options, keep=keep)
    values = logits.to(torch.float32).contiguous()
    grad = None
    if keep:  # a copy of the logits is overwritten by their gradient
        copied = values.data_ptr() != logits.data_ptr()
        grad = values if copied else torch.empty_like(values)
    found = native_terms(kernel, values, target.long().contiguous(), grad, *options)
    if found is None:
        check_labels(target, logits.shape[1], options.ignore_index)
        raise RuntimeError("target changed while the loss was computed")
    total, ce_mean, ls_mean = (torch.tensor(x, dtype=torch.float32) for x in found)
    return total, ce_mean, ls_mean, values.new_empty(0) if grad is None else grad


def _scaled(grad: Tensor, upstream: Tensor, dtype: torch.dtype) -> Tensor:
    # Half-precision gradients are rounded after a gradient scaler's factor, not before.
    return (grad * upstream).to(dtype)


class _CrossEntropyLevelSet(torch.autograd.Function):
    """Makes the gradient in the forward pass."""

    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401 - torch passes an untyped context
        logits: Tensor,
        target: Tensor,
        options: Options,
    ) -> tuple[Tensor, Tensor, Tensor]:
        keep = ctx.needs_input_grad[0]
        total, ce_mean, ls_mean, grad = _terms(logits, target, options, keep=keep)
        if keep:
            ctx.dtype = logits.dtype
            ctx.save_for_backward(grad)
        ctx.mark_non_differentiable(ce_mean, ls_mean)
        return total, ce_mean, ls_mean

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor, *_: Tensor) -> tuple[Tensor, None, None]:  # noqa: ANN401 - torch passes an untyped context
        (grad,) = ctx.saved_tensors
        if upstream == 1:
            return grad.to(ctx.dtype), None, None
        return _scaled(grad, upstream, ctx.dtype), None, None


@torch.library.custom_op("level_set_loss::terms", mutates_args=())
def _compiled_terms(
    logits: Tensor,
    target: Tensor,
    lam: float,
    kind: str,
    eps: float,
    ignore_index: int,
    reference_area: float | None,
    keep: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """:func:`_terms` as one opaque operator, for ``torch.compile``."""
    options = Options(lam, kind, eps, ignore_index, reference_area)  # type: ignore[arg-type]
    return _terms(logits, target, options, keep=keep)


@_compiled_terms.register_fake
def _(
    logits: Tensor,
    target: Tensor,  # noqa: ARG001 - the operator's signature
    lam: float,  # noqa: ARG001
    kind: str,  # noqa: ARG001
    eps: float,  # noqa: ARG001
    ignore_index: int,  # noqa: ARG001
    reference_area: float | None,  # noqa: ARG001
    keep: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    dtype = torch.promote_types(logits.dtype, torch.float32)
    total, ce_mean, ls_mean = (logits.new_empty((), dtype=dtype) for _ in range(3))
    grad = logits.new_empty(logits.shape if keep else (0,), dtype=dtype)
    return total, ce_mean, ls_mean, grad


def _keep_gradient(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:  # noqa: ANN401 - torch passes an untyped context
    ctx.dtype = inputs[0].dtype
    ctx.save_for_backward(output[3])


def _backward(ctx: Any, upstream: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401 - torch passes an untyped context
    (grad,) = ctx.saved_tensors
    return _scaled(grad, upstream, ctx.dtype), *[None] * 7


_compiled_terms.register_autograd(_backward, setup_context=_keep_gradient)


class CrossEntropyLevelSetLoss(nn.Module):
    r"""Cross-entropy plus ``lam`` times the level set loss, eq. (8), in one pass.

    .. math:: Loss = E_{CE}(P, G) + \lambda\,E_{LS}(\phi, G)

    :math:`E_{CE}` is the mean over the valid pixels of the batch (0 where there are none) and
    :math:`E_{LS}` the mean over the batch of :func:`~reproduce.losses.level_set_energy`. The
    gradient is made in the forward pass, image by image, so one call takes less time and memory
    than ``F.cross_entropy`` alone (``reproduce bench loss``). Second derivatives are not offered:
    use ``F.cross_entropy`` and :class:`~reproduce.losses.LevelSetLoss` for those. On a GPU with
    Triton two kernels read the logits once in either pass and nothing waits for the GPU: a wrong
    label makes the loss NaN, and a later call raises the ``ValueError``.

    Args:
        lam: Weight of the energy, 4e-4 in the paper (section 4.6). With 0 the energy is still
            computed, and only the cross-entropy is minimised.
        eps: Width of the Heaviside function, 1/20 in the paper.
        kind: ``mahf``, ``ahf`` or ``hf``.
        ignore_index: Label of void.
        reference_area: See :class:`~reproduce.losses.LevelSetLoss`. The paper's lam acted on
            sums over a grid of 41x41 or 64x64 logits; ``reference_area=64**2`` keeps that weight
            at any resolution.

    Raises:
        ValueError: On wrong options.

    Example:
        >>> loss = CrossEntropyLevelSetLoss()
        >>> logits = torch.randn(2, 21, 41, 41, requires_grad=True)
        >>> loss(logits, torch.randint(21, (2, 41, 41))).backward()
    """

    def __init__(
        self,
        lam: float = 4e-4,
        eps: float = 0.05,
        kind: HeavisideKind = "mahf",
        ignore_index: int = 255,
        reference_area: float | None = None,
    ) -> None:
        super().__init__()
        check_options(kind, eps, reference_area)
        if not lam >= 0:
            raise ValueError(f"lam must be 0 or more, got {lam}")
        self.lam = lam
        self.eps = eps
        self.kind: HeavisideKind = kind
        self.ignore_index = ignore_index
        self.reference_area = reference_area

    def terms(self, logits: Tensor, target: Tensor, lam: float | None = None) -> Terms:
        """Loss and its two terms.

        Args:
            logits: ``(B, C, H, W)``.
            target: ``(B, H, W)`` integer labels in ``[0, C)`` or ``ignore_index``.
            lam: Weight of the energy in this call, default the module's.

        Returns:
            :class:`Terms` of scalars in float32 (float64 for float64 logits).

        Raises:
            ValueError: On wrong shapes, dtypes or labels.
        """
        check_shapes(logits, target)
        weight = self.lam if lam is None else lam
        options = Options(weight, self.kind, self.eps, self.ignore_index, self.reference_area)
        # On a GPU the same numbers come another way, which is not in the fingerprint of runs.
        if can_use(logits, target, self.kind) and works(logits.device, logits.dtype):  # unscored
            return Terms(*cuda_terms(logits, target, *options))  # unscored
        if torch.compiler.is_compiling():
            keep = torch.is_grad_enabled() and logits.requires_grad
            total, ce_mean, ls_mean, _ = _compiled_terms(logits, target, *options, keep)
            return Terms(total, ce_mean.detach(), ls_mean.detach())
        return Terms(*_CrossEntropyLevelSet.apply(logits, target, options))

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """Scalar loss of a batch; arguments as in :meth:`terms`."""
        return self.terms(logits, target).loss

    def extra_repr(self) -> str:
        """Options, for ``print(loss)``."""
        return (
            f"lam={self.lam}, eps={self.eps}, kind={self.kind!r}, "
            f"ignore_index={self.ignore_index}, reference_area={self.reference_area}"
        )
