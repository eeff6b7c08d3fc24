"""What is collected while a network is trained, for its record."""

import hashlib
import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.loggers import Logger
from torch import Tensor

from reproduce.models import SegmentationModule
from reproduce.runs.progress import write_progress
from reproduce.runs.summary import check_counts, percent, scores_of

#: Attributes of the callback that a run which goes on needs.
COLLECTED = ("history", "best", "last", "image_iou", "confusion", "initial")

#: Logged values that a record keeps as curves.
CURVES = ("train/criterion", "train/level_set")


class Curve(Logger):
    """Logger that keeps the losses of training.

    Attributes:
        rows: Step and the values of :data:`CURVES`.
    """

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[list[float]] = []

    @property
    def name(self) -> str:
        """Its name."""
        return "curve"

    @property
    def version(self) -> str:
        """There is one version."""
        return ""

    def log_hyperparams(self, *_: Any, **__: Any) -> None:  # noqa: ANN401
        """Nothing."""

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Keep a step if the losses are among its values."""
        if all(name in metrics for name in CURVES):
            self.rows.append([float(step or 0), *(float(metrics[name]) for name in CURVES)])

    def columns(self) -> dict[str, list[float]]:
        """``step`` and the losses, rounded to five digits."""
        names = ("step", *CURVES)
        return {name: [float(f"{row[i]:.5g}") for row in self.rows] for i, name in enumerate(names)}


def weights_hash(module: torch.nn.Module) -> str:
    """SHA-256 of a module's whole state, which proves that two runs started alike."""
    digest = hashlib.sha256()
    for name, value in module.state_dict().items():
        digest.update(name.encode())
        digest.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
    return digest.hexdigest()


class RecordCallback(L.Callback):
    """Collects scores and losses and tells the driver how far the run is.

    What it has collected goes into checkpoints, so that a run which goes on loses none of it.

    Args:
        folder: The run's folder, for the file ``progress``.
        expected: Images and valid pixels of the validation split, from the manifest.

    Raises:
        RuntimeError: At an evaluation that did not count exactly these, or a loss that is not
            finite.
    """

    def __init__(self, folder: Path, expected: dict[str, int]) -> None:
        self.folder = folder
        self.expected = expected
        self.history: list[dict[str, Any]] = []
        self.best: dict[str, Any] = {}
        self.last: dict[str, Any] = {}
        self.image_iou: dict[str, float | None] = {}
        self.confusion: list[list[int]] = []
        self.initial = ""
        self.curve = Curve()
        self._told = 0.0

    def state_dict(self) -> dict[str, Any]:
        """All that was collected."""
        return {**{name: getattr(self, name) for name in COLLECTED}, "rows": self.curve.rows}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on with what a checkpoint holds."""
        for name in COLLECTED:
            setattr(self, name, state_dict[name])
        self.curve.rows = state_dict["rows"]

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:  # noqa: ARG002
        """Hash the initial weights, unless the run goes on."""
        self.initial = self.initial or weights_hash(pl_module)

    def on_train_batch_end(  # noqa: D102 - Lightning's hook
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,  # noqa: ARG002
        outputs: Any,  # noqa: ANN401
        batch: Any,  # noqa: ANN401
        batch_idx: int,  # noqa: ARG002
    ) -> None:
        loss = outputs["loss"].item()
        if not math.isfinite(loss):
            rate = trainer.optimizers[0].param_groups[0]["lr"]
            raise RuntimeError(
                f"the loss is {loss} at step {trainer.global_step}, learning rate {rate:.3g}, "
                f"images {' '.join(batch['id'])}"
            )
        now = time.monotonic()
        if now - self._told > 1:
            self._tell(trainer)

    def _tell(self, trainer: L.Trainer) -> None:
        self._told = time.monotonic()
        if trainer.is_global_zero:
            write_progress(self.folder, trainer.global_step, self.last.get("miou"))

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Check what was counted and keep the scores."""
        if trainer.sanity_checking or not isinstance(pl_module, SegmentationModule):
            return
        matrix, image_iou = _gather(trainer, pl_module)
        check_counts(len(image_iou), int(matrix.sum()), self.expected)
        self.last = scores_of(matrix, trainer.global_step)
        metrics = {k: round(float(v), 6) for k, v in trainer.callback_metrics.items()}
        self.history.append({"step": trainer.global_step, **metrics})
        self.image_iou = {name: percent(iou, 2) for name, iou in image_iou.items()}
        self.confusion = matrix.tolist()
        if not self.best or (self.last["miou"] or 0) > (self.best["miou"] or 0):
            self.best = self.last
        self._tell(trainer)


def _gather(trainer: L.Trainer, module: SegmentationModule) -> tuple[Tensor, dict[str, float]]:
    """Confusion matrix and IoU of each image over all processes."""
    matrix = module.scores.confusion.clone()
    if trainer.world_size == 1:
        return matrix.cpu(), module.image_iou
    torch.distributed.all_reduce(matrix)
    parts: list[dict[str, float]] = [{} for _ in range(trainer.world_size)]
    torch.distributed.all_gather_object(parts, module.image_iou)
    return matrix.cpu(), {name: iou for part in parts for name, iou in part.items()}
