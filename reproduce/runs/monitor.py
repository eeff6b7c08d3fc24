"""What training looks like from outside, for Weights & Biases."""

import time
from typing import Any

import lightning as L
import torch
from lightning.pytorch.loggers import WandbLogger
from torch import Tensor

from reproduce.runs.machine import peak_memory
from reproduce.runs.recording import RecordCallback

GIBIBYTE = 2**30


class Monitor(L.Callback):
    """Logs a step's weighted energy, learning rates, gradient norm, speed and memory.

    They go into the row of the losses, every ``log_every_n_steps``; the IoU of each class follows
    each validation. It only reads: no number of the training and no random state changes.

    ``train/weighted_level_set`` is the loss without the criterion: the weight times the energy,
    whatever the weight is at the step. ``train/gradient_norm`` is the 2-norm over all parameters
    before the step, on the first process.

    Args:
        logger: Where to.
        record: Has the scores.
        names: Of the classes.
    """

    def __init__(self, logger: WandbLogger, record: RecordCallback, names: tuple[str, ...]) -> None:
        self.logger = logger
        self.record = record
        self.names = names
        self._norm: Tensor | None = None
        self._images = 0
        self._since = time.perf_counter()

    def _restart(self) -> None:
        self._images, self._since = 0, time.perf_counter()

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:  # noqa: ARG002
        """Start the clock."""
        self._restart()

    def on_before_optimizer_step(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        optimizer: torch.optim.Optimizer,  # noqa: ARG002 - Lightning's signature
    ) -> None:
        """Measure the gradient if the step will be logged."""
        if not self._logs(trainer, trainer.global_step + 1):
            return
        gradients = [p.grad for p in pl_module.parameters() if p.grad is not None]
        self._norm = torch.nn.utils.get_total_norm(gradients)

    def on_train_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        outputs: Any,  # noqa: ANN401, ARG002 - Lightning's signature
        batch: Any,  # noqa: ANN401
        batch_idx: int,  # noqa: ARG002
    ) -> None:
        """Log, before Lightning completes the row with the losses."""
        self._images += len(batch["image"]) * trainer.world_size
        if not self._logs(trainer, trainer.global_step):
            return
        seconds = time.perf_counter() - self._since
        values = {
            "speed/images_per_second": self._images / seconds,
            "speed/peak_memory_gib": peak_memory(pl_module.device) / GIBIBYTE,
            **_learning_rates(trainer),
        }
        if self._norm is not None:
            values["train/gradient_norm"] = self._norm.item()
        losses = trainer.callback_metrics
        if "train/criterion" in losses:
            weighted = losses["train/loss"] - losses["train/criterion"]
            values["train/weighted_level_set"] = weighted.item()
        self.logger.experiment.log(values, commit=False)
        self._restart()

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:  # noqa: ARG002
        """Log the IoU of each class that is in the images or was found."""
        if trainer.is_global_zero and self.record.last:
            scores = zip(self.names, self.record.last["iou"], strict=True)
            values = {f"iou/{name}": iou for name, iou in scores if iou is not None}
            self.logger.log_metrics(values, max(trainer.global_step - 1, 0))
        self._restart()

    @staticmethod
    def _logs(trainer: L.Trainer, step: int) -> bool:
        every: int = trainer.log_every_n_steps  # type: ignore[attr-defined]
        return trainer.is_global_zero and step % every == 0


def _learning_rates(trainer: L.Trainer) -> dict[str, float]:
    """``optimiser/learning_rate``, or with several groups each with its number."""
    groups = [g for optimiser in trainer.optimizers for g in optimiser.param_groups]
    if len(groups) == 1:
        return {"optimiser/learning_rate": groups[0]["lr"]}
    return {f"optimiser/learning_rate_{i}": group["lr"] for i, group in enumerate(groups)}
