"""The level set loss, eq. (4) and (5) of the paper, in plain differentiable PyTorch."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from reproduce.losses.heaviside import HeavisideKind, check_heaviside, heaviside
from reproduce.losses.readings import Reading

#: The reading of the tables.
DEFAULT = Reading()


def check_options(kind: str, eps: float, reference_area: float | None) -> None:
    """Validate what both losses are made with.

    Raises:
        ValueError: On an unknown ``kind``, or a width or an area that is not positive.
    """
    check_heaviside(kind, eps)
    if reference_area is not None and not reference_area > 0:
        raise ValueError(f"reference_area must be positive or None, got {reference_area}")


def check_shapes(logits: Tensor, target: Tensor) -> None:
    """Refuse what is not ``(B, C, H, W)`` floating logits beside a ``(B, H, W)`` integer target.

    Raises:
        ValueError: Naming what was expected and what was found.
    """
    if logits.ndim != 4 or target.shape != (logits.shape[0], *logits.shape[2:]):
        raise ValueError(
            "expected logits (B, C, H, W) and target (B, H, W), "
            f"got {tuple(logits.shape)} and {tuple(target.shape)}"
        )
    if not logits.is_floating_point() or target.is_floating_point():
        raise ValueError(
            f"expected floating logits and an integer target, got {logits.dtype} and {target.dtype}"
        )


def check_labels(target: Tensor, num_classes: int, ignore_index: int) -> Tensor:
    """Mask of the valid pixels, after a check that their labels are classes.

    Args:
        target: Integer labels of any shape.
        num_classes: Number of classes.
        ignore_index: Label of void.

    Returns:
        Boolean tensor like ``target``.

    Raises:
        ValueError: If a label is neither void nor in ``[0, num_classes)``.
    """
    valid = target != ignore_index
    wrong = valid & ((target < 0) | (target >= num_classes))
    if wrong.any():
        label = int(target[wrong][0])
        raise ValueError(
            f"target holds label {label}, expected 0 to {num_classes - 1} or {ignore_index} (void)"
        )
    return valid


def region_energy(step: Tensor, inside: Tensor, outside: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    r"""Energy of a region at the optimal c1 and c2.

    With :math:`a=\sum GH`, :math:`b=\sum(1-G)H`, :math:`\bar a=\sum G(1-H)` and
    :math:`\bar b=\sum(1-G)(1-H)`, putting :math:`c_1=\frac{a}{a+b}` and
    :math:`c_2=\frac{\bar a}{\bar a+\bar b}` of eq. (5) into eq. (4) leaves

    .. math:: E = \frac{ab}{a+b}+\frac{\bar a\bar b}{\bar a+\bar b} = c_1 b + c_2\bar b.

    It equals :math:`n-a^2/\sum H-(n-a)^2/(N-\sum H)` without that form's cancellation. The four
    sums keep E between 0 and :math:`n(N-n)/N`, and guard the empty region (0/0 counts as 0).

    Args:
        step: ``(..., N)`` Heaviside of the level set function.
        inside: ``(..., N)`` G, 1 where the pixel is of the class; same dtype as ``step``.
        outside: ``(..., N)`` 1 - G, but 0 at void pixels, so that these leave every sum.

    Returns:
        E, c1 and c2, each ``(...)``.
    """
    rest = 1 - step
    a, b = (step * inside).sum(-1), (step * outside).sum(-1)
    a_bar, b_bar = (rest * inside).sum(-1), (rest * outside).sum(-1)
    tiny = torch.finfo(step.dtype).tiny
    c1 = a / (a + b).clamp(min=tiny)
    c2 = a_bar / (a_bar + b_bar).clamp(min=tiny)
    return c1 * b + c2 * b_bar, c1, c2


def level_set_energy(
    logits: Tensor,
    target: Tensor,
    *,
    eps: float = 0.05,
    kind: HeavisideKind = "mahf",
    ignore_index: int = 255,
    reading: Reading = DEFAULT,
) -> Tensor:
    r"""Level set energy :math:`E_{LS}` of eq. (4), summed over the classes in each image.

    :math:`\phi_l = P_l - 0.5` with P the softmax of the logits; c1 and c2 are per image and class
    (eq. 5); L is the set of labels the image holds, background included; void pixels are left out
    of every sum. Computed in float32 (float64 for float64 logits), also under autocast.

    Args:
        logits: ``(B, C, H, W)``.
        target: ``(B, H, W)`` integer labels in ``[0, C)`` or ``ignore_index``.
        eps: Width of the Heaviside function, 1/20 in the paper.
        kind: ``mahf``, ``ahf`` or ``hf``, see :func:`~reproduce.losses.heaviside`.
        ignore_index: Label of void.
        reading: Answers to what the paper leaves open.

    Returns:
        ``(B,)`` energies in pixels, each between 0 and :math:`\sum_l n_l (N - n_l) / N`; ``(1,)``
        if the means are those of the batch.

    Raises:
        ValueError: On wrong shapes, dtypes, labels or options.

    Example:
        >>> logits = torch.tensor([[[[9.0, -9.0]], [[-9.0, 9.0]]]])
        >>> level_set_energy(logits, torch.tensor([[[0, 1]]])).round(decimals=3)
        tensor([0.])
    """
    check_heaviside(kind, eps)
    check_shapes(logits, target)
    num_classes = logits.shape[1]
    valid = check_labels(target, num_classes, ignore_index)
    dtype = torch.promote_types(logits.dtype, torch.float32)
    with torch.autocast(logits.device.type, enabled=False):
        scores = logits.to(dtype)
        labels = target.long().masked_fill(~valid, num_classes)
        counted = torch.ones_like(valid) if reading.void == "outside" else valid
        if reading.means == "batch":  # one image, as tall as the batch
            scores = scores.movedim(1, 0).flatten(1, 2).unsqueeze(0)
            labels, counted = (m.flatten(0, 1).unsqueeze(0) for m in (labels, counted))
        scores = scores.flatten(2)
        probability = scores.softmax(1) if reading.probability == "softmax" else scores.sigmoid()
        inside = F.one_hot(labels.flatten(1), num_classes + 1)[..., :num_classes].movedim(-1, 1)
        outside = counted.flatten(1).unsqueeze(1) & (inside == 0)
        step = heaviside(probability - 0.5, kind, eps)
        energy, _, _ = region_energy(step, inside.to(dtype), outside.to(dtype))
        energy = energy.masked_fill(inside.sum(-1) == 0, 0)
        return energy[:, 1 if reading.classes == "foreground" else 0 :].sum(1)


def energy_scale(counted: Tensor, reference_area: float | None) -> Tensor:
    r"""Factor :math:`A_{ref}/|\Omega|` of each image, or 1 without a reference area.

    Args:
        counted: ``(B, H, W)`` bool, the pixels that the sums of the energy run over: |Omega|.
        reference_area: :math:`A_{ref}` in pixels, or ``None`` for the plain sum of eq. (4).

    Returns:
        ``(B,)`` float64 factors (those of an image that is all void are finite).
    """
    if reference_area is None:
        return torch.ones(len(counted), dtype=torch.float64, device=counted.device)
    return reference_area / counted.flatten(1).sum(1).clamp(min=1).double()


class LevelSetLoss(nn.Module):
    r"""Mean over the batch of the level set energy, eq. (4).

    Reference: Kim et al., *CNN-based Semantic Segmentation using Level Set Loss*, 2019,
    https://arxiv.org/abs/1910.00950, section 3.2.

    The energy alone is blind to exchanging object and background
    (:math:`H \to 1-H` leaves it unchanged): train with it beside a pixel-wise loss only,
    for instance with :class:`~reproduce.losses.CrossEntropyLevelSetLoss`.

    Args:
        eps: Width of the Heaviside function.
        kind: ``mahf``, ``ahf`` or ``hf``.
        ignore_index: Label of void.
        reference_area: Scale each image's energy by ``reference_area`` over its number of valid
            pixels, so that one weight serves every resolution. ``None``: the sum of eq. (4).
        reading: Answers to what the paper leaves open.

    Raises:
        ValueError: On wrong options.

    Example:
        >>> loss = LevelSetLoss(reference_area=64**2)
        >>> loss(torch.zeros(2, 21, 8, 8), torch.zeros(2, 8, 8, dtype=torch.long))
        tensor(0.)
    """

    def __init__(
        self,
        eps: float = 0.05,
        kind: HeavisideKind = "mahf",
        ignore_index: int = 255,
        reference_area: float | None = None,
        reading: Reading = DEFAULT,
    ) -> None:
        super().__init__()
        check_options(kind, eps, reference_area)
        self.eps = eps
        self.kind: HeavisideKind = kind
        self.ignore_index = ignore_index
        self.reference_area = reference_area
        self.reading = reading

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """Loss of a batch.

        Args:
            logits: ``(B, C, H, W)``.
            target: ``(B, H, W)`` integer labels.

        Returns:
            Scalar in float32 (float64 for float64 logits).
        """
        energy = level_set_energy(
            logits,
            target,
            eps=self.eps,
            kind=self.kind,
            ignore_index=self.ignore_index,
            reading=self.reading,
        )
        valid = target != self.ignore_index
        counted = torch.ones_like(valid) if self.reading.void == "outside" else valid
        if self.reading.means == "batch":
            counted = counted.unsqueeze(0)
            if self.reference_area is None:
                energy = energy / len(target)
        return (energy * energy_scale(counted, self.reference_area).to(energy)).mean()

    def extra_repr(self) -> str:
        """Options, for ``print(loss)``."""
        return (
            f"eps={self.eps}, kind={self.kind!r}, ignore_index={self.ignore_index}, "
            f"reference_area={self.reference_area}, reading={self.reading}"
        )
