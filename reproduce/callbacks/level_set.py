"""The level set loss as a callback for any LightningModule with a criterion."""

from collections.abc import Callable
from typing import Any, Literal

import lightning as L
import torch
from torch import Tensor, nn

from reproduce.losses.fused import CrossEntropyLevelSetLoss, Terms
from reproduce.losses.heaviside import HeavisideKind
from reproduce.losses.level_set import DEFAULT, LevelSetLoss
from reproduce.losses.readings import Reading

Criterion = Callable[[Tensor, Tensor], Tensor]


def is_plain_cross_entropy(criterion: object) -> bool:
    """Whether a criterion is ``nn.CrossEntropyLoss`` without weights, smoothing or sums."""
    return (
        type(criterion) is nn.CrossEntropyLoss
        and criterion.weight is None
        and criterion.label_smoothing == 0
        and criterion.reduction == "mean"
    )


class LevelSetCallback(L.Callback):
    r"""Add :math:`\lambda E_{LS}` of eq. (8) to a LightningModule's ``criterion``.

    The module must compute its loss by ``self.criterion(logits, target)`` with logits
    ``(B, C, H, W)`` and integer labels ``(B, H, W)``; nothing else of it changes, the names in its
    state dict included. A plain ``nn.CrossEntropyLoss`` is replaced by the fused loss, which costs
    less than it did; to any other criterion the energy is added. While attached, the energy and
    the criterion's own value are logged as ``train/level_set`` and ``train/criterion`` every
    ``log_every_n_steps``, summed over the calls of a step (four with MSC).

    Args:
        lam: Weight; with 0 the energy is only monitored.
        eps: Width of the Heaviside function.
        kind: ``mahf``, ``ahf`` or ``hf``.
        reference_area: See :class:`~reproduce.losses.LevelSetLoss`.
        ignore_index: Label of void; ``None``: the criterion's own, or 255 if it has none.
        reading: Answers to what the paper leaves open; all but the default one are computed
            beside the cross-entropy, not fused.
        start: Fraction of the schedule after which the energy is added; before it is monitored.
        eps_start: Width at the first step; it then goes to ``eps`` geometrically over the
            schedule. ``None``: ``eps`` throughout.
        outputs: With several calls of the criterion in a step (MSC), add the energy in ``all`` of
            them or in the ``last`` only; their number is the module's ``num_outputs``.

    Raises:
        TypeError: At the start of a fit, if the module has no callable ``criterion``.
        ValueError: On wrong options.

    Example:
        >>> callback = LevelSetCallback(lam=4e-4, reference_area=64**2)
        >>> trainer = L.Trainer(callbacks=[callback], logger=False)  # doctest: +SKIP
    """

    def __init__(
        self,
        lam: float = 4e-4,
        eps: float = 0.05,
        kind: HeavisideKind = "mahf",
        reference_area: float | None = None,
        ignore_index: int | None = None,
        reading: Reading = DEFAULT,
        start: float = 0.0,
        eps_start: float | None = None,
        outputs: Literal["all", "last"] = "all",
    ) -> None:
        if not 0 <= start <= 1:
            raise ValueError(f"start must be a fraction of the schedule, 0 to 1, got {start}")
        if eps_start is not None and not eps_start > 0:
            raise ValueError(f"eps_start must be positive or None, got {eps_start}")
        if outputs not in ("all", "last"):
            raise ValueError(f"outputs must be all or last, got {outputs!r}")
        self.lam = lam
        self.eps = eps
        self.ignore_index = ignore_index
        self.start = start
        self.eps_start = eps_start
        self.outputs = outputs
        self.loss = CrossEntropyLevelSetLoss(lam, eps, kind, reference_area=reference_area)
        self.energy = LevelSetLoss(eps, kind, reference_area=reference_area, reading=reading)
        self._outputs = 1
        self._detach: Callable[[], None] | None = None
        self._energies: list[Tensor] = []
        self._values: list[Tensor] = []

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:  # noqa: ARG002
        """Attach to the criterion before a fit."""
        if stage == "fit":
            self.attach(pl_module)

    def teardown(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:  # noqa: ARG002
        """Give the module its criterion back."""
        if self._detach is not None:
            self._detach()
            self._detach = None

    def attach(self, module: nn.Module) -> None:
        """Wrap ``module.criterion`` in place.

        Raises:
            TypeError: If there is none.
        """
        criterion = getattr(module, "criterion", None)
        if not callable(criterion):
            raise TypeError(
                f"LevelSetCallback expected {type(module).__name__}.criterion, a callable "
                "(logits, target) -> loss, found "
                f"{criterion!r}: compute the loss in training_step by self.criterion(...)"
            )
        ignore_index = self.ignore_index
        if ignore_index is None:
            ignore_index = getattr(criterion, "ignore_index", None)
        ignore_index = 255 if ignore_index is None else ignore_index
        self.loss.ignore_index = self.energy.ignore_index = ignore_index
        self._outputs = getattr(module, "num_outputs", 1)
        if isinstance(criterion, nn.Module):
            # An attribute of the instance goes before the method of its class, and unlike a
            # wrapping module it leaves the names in the state dict alone.
            criterion.forward = self._wrap(criterion, criterion.forward)
            self._detach = lambda: criterion.__dict__.pop("forward")
        else:
            setattr(module, "criterion", self._wrap(criterion, criterion))  # noqa: B010 - no Tensor
            self._detach = lambda: setattr(module, "criterion", criterion)

    def _wrap(self, criterion: object, compute: Criterion) -> Criterion:
        if is_plain_cross_entropy(criterion) and self.energy.reading == DEFAULT:

            def fused(logits: Tensor, target: Tensor) -> Tensor:
                terms: Terms = self.loss.terms(logits, target, self._weight())
                self._keep(terms.cross_entropy, terms.level_set)
                return terms.loss

            return fused

        def added(logits: Tensor, target: Tensor) -> Tensor:
            value, lam = compute(logits, target), self._weight()
            with torch.set_grad_enabled(torch.is_grad_enabled() and lam > 0):
                energy = self.energy(logits, target)
            self._keep(value.detach(), energy.detach())
            return value + lam * energy if lam > 0 else value

        return added

    def _weight(self) -> float:
        """Weight of the energy in the present call."""
        last = len(self._values) % self._outputs == self._outputs - 1
        return self.loss.lam if last or self.outputs == "all" else 0.0

    def _keep(self, value: Tensor, energy: Tensor) -> None:
        if torch.is_grad_enabled():
            self._values.append(value)
            self._energies.append(energy)

    def on_train_batch_start(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,  # noqa: ARG002 - Lightning's signature
        batch: Any,  # noqa: ANN401, ARG002
        batch_idx: int,  # noqa: ARG002
    ) -> None:
        """Set the weight and the width of this step."""
        if not self.start and self.eps_start is None:
            return
        done = trainer.global_step / max(trainer.estimated_stepping_batches, 1)
        self.loss.lam = self.lam if done >= self.start else 0.0
        if self.eps_start is not None:
            eps = self.eps_start * (self.eps / self.eps_start) ** done
            self.loss.eps = self.energy.eps = eps

    def on_train_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        outputs: Any,  # noqa: ANN401, ARG002 - Lightning's signature
        batch: Any,  # noqa: ANN401, ARG002
        batch_idx: int,  # noqa: ARG002
    ) -> None:
        """Log both terms of the step, as often as the trainer logs."""
        every: int = trainer.log_every_n_steps  # type: ignore[attr-defined]
        if self._energies and trainer.global_step % every == 0:
            pl_module.log("train/criterion", torch.stack(self._values).sum())
            pl_module.log("train/level_set", torch.stack(self._energies).sum())
        self._values, self._energies = [], []
