"""Validation images with truth, prediction and level set function, for Weights & Biases."""

import time
from collections.abc import Sequence
from typing import Any

import lightning as L
import numpy as np
from lightning.pytorch.loggers import WandbLogger
from lightning.pytorch.trainer.states import TrainerFn
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from reproduce.data.labels import VOID
from reproduce.models import SegmentationModule
from reproduce.segment.drawing import resized
from reproduce.segment.level_map import LINE, phi_colours
from reproduce.segment.overlay import edges

#: Most images that are shown.
MOST = 16

#: Seconds of training before the first pictures, and how much longer than drawing the pauses are.
FIRST, PAUSE = 60.0, 50


class PicturesCallback(L.Callback):
    """Logs the same validation images again and again, spread evenly over their list.

    ``val/pictures`` has them with ground truth and prediction as masks that can be switched, void
    named as such. ``val/level_set`` shows phi = P(class) - 1/2 of the largest class of each
    truth, blue outside and red inside, with the zero level line; the class does not change.

    Drawn at the end, and before at validations that come so late that drawing takes at most a
    fiftieth of the time. Only reads; draws on the first process.

    Args:
        logger: Where to.
        names: Of the classes.
        count: Number of images, at most 16.

    Raises:
        ValueError: If ``count`` is not from 1 to 16.
    """

    def __init__(self, logger: WandbLogger, names: Sequence[str], count: int = MOST) -> None:
        if not 1 <= count <= MOST:
            raise ValueError(f"count must be from 1 to {MOST}, got {count}")
        self.logger = logger
        self.labels = {**dict(enumerate(names)), VOID: "void"}
        self.count = count
        self._next = time.monotonic() + FIRST

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Draw if it is time."""
        fitting = trainer.state.fn == TrainerFn.FITTING
        ended = not fitting or trainer.global_step >= trainer.max_steps
        start = time.monotonic()
        if trainer.sanity_checking or not trainer.is_global_zero:
            return
        if (start < self._next and not ended) or not isinstance(pl_module, SegmentationModule):
            return
        dataset = trainer.datamodule.val_set  # type: ignore[attr-defined]
        count = min(self.count, len(dataset))
        shown = [self._draw(dataset[i * len(dataset) // count], pl_module) for i in range(count)]
        pictures, maps = zip(*shown, strict=True)
        values = {"val/pictures": list(pictures), "val/level_set": list(maps)}
        step = {"trainer/global_step": max(trainer.global_step - 1, 0)}
        self.logger.experiment.log({**values, **step})
        now = time.monotonic()
        self._next = now + max(FIRST, PAUSE * (now - start))

    def _draw(self, item: dict[str, Any], network: SegmentationModule) -> tuple[Any, Any]:
        """An image with its masks, and the level set function of one class."""
        import wandb

        image: Tensor = item["image"]
        logits = network.full_logits(image.unsqueeze(0).to(network.device))
        chances = logits.float().softmax(1)[0].cpu().numpy()
        truth = item["mask"].numpy().astype(np.uint8)
        height, width = image.shape[1:]
        truth = resized(truth, (height, width), Image.Resampling.NEAREST)
        masks = {
            "prediction": chances.argmax(0).astype(np.uint8),
            "ground truth": truth,
        }
        chosen = largest_class(truth)
        picture = wandb.Image(
            image.permute(1, 2, 0).numpy(),
            caption=item["id"],
            masks={
                name: {"mask_data": mask, "class_labels": self.labels}
                for name, mask in masks.items()
            },
        )
        phi = level_set_picture(chances[chosen] - np.float32(0.5))
        return picture, wandb.Image(phi, caption=f"{item['id']}: {self.labels[chosen]}")


def largest_class(truth: NDArray[np.uint8]) -> int:
    """The class with most pixels, other than 0 (background, mostly) and void if there is one.

    Args:
        truth: Labels of any shape.
    """
    counts = np.bincount(truth.ravel(), minlength=VOID + 1)
    counts[[0, VOID]] = 0
    return int(counts.argmax())


def level_set_picture(phi: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Colours ``(H, W, 3)`` of a level set function ``(H, W)``, its zero level line in black."""
    colours = phi_colours(phi)
    colours[edges((phi > 0).astype(np.uint8))] = LINE
    return colours
