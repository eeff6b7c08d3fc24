"""The LightningModule every architecture shares."""

from typing import Any

import lightning as L
import torch
from torch import Tensor, nn

from reproduce.metrics.scores import SegmentationScores, confusion_matrix, iou_per_class
from reproduce.models.backbones import OutputStride, TrunkName, build_trunk
from reproduce.models.loading import load_initial_weights
from reproduce.models.multiscale import SCALES, pyramid, resize, resize_labels
from reproduce.models.optimisation import Recipe, build_optimiser
from reproduce.models.sliding import sliding_logits
from reproduce.models.weights import normalisation


class SegmentationModule(L.LightningModule):
    """Trunk, head, criterion, optimiser and scores; a subclass adds its head.

    Batches are dictionaries: ``image`` uint8 ``(B, 3, H, W)`` RGB, ``mask`` int64 ``(B, H, W)``
    with void as ``ignore_index``, ``id`` a list of names.

    The loss is ``self.criterion(logits, target)`` on the grid of the logits, or on that of
    ``loss_stride`` (labels are sampled down to it), summed over the outputs of :meth:`outputs`.
    Exchange ``criterion``, or add :class:`~reproduce.callbacks.LevelSetCallback`, to train with
    another loss.

    Args:
        num_classes: Number of classes, background included.
        trunk: ``resnet101``, ``vgg16``, ``mobilenet_v2`` or ``thin``.
        weights: Initial weights of the trunk, a key of
            :data:`~reproduce.models.weights.INITIAL_WEIGHTS`; ``None``: random. They bring the
            normalisation of the images with them.
        check_weights: Whether their file must have a known hash.
        multiscale: MSC: inputs at scales 1, 0.75 and 0.5, fused by the maximum of the logits;
            trained with the sum of the four losses (section 2.2, DeepLab-v2).
        freeze_batch_norm: Keep statistics and parameters of batch normalisation as loaded.
        recipe: Optimiser and schedule.
        criterion: ``(logits, target) -> scalar``; default cross-entropy.
        ignore_index: Label of void.
        loss_stride: Pixels of the image per cell of the loss: every output is interpolated to
            ``(ceil(H / s), ceil(W / s))`` before the criterion, those of MSC all to the same grid;
            ``None``: each output on its own grid.
        window: Side in pixels of the sliding windows of :meth:`segment`; ``None``: the whole image
            at once.

    Raises:
        ValueError: If ``loss_stride`` or ``window`` is not positive.
        UserError: If the weights are missing, unknown or do not fit.
    """

    output_stride: OutputStride = 32
    mean: Tensor
    std: Tensor

    def __init__(
        self,
        num_classes: int = 21,
        trunk: TrunkName = "resnet101",
        weights: str | None = None,
        check_weights: bool = True,
        multiscale: bool = False,
        freeze_batch_norm: bool = True,
        recipe: Recipe | None = None,
        criterion: nn.Module | None = None,
        ignore_index: int = 255,
        loss_stride: int | None = None,
        window: int | None = None,
    ) -> None:
        super().__init__()
        for option, value in (("loss_stride", loss_stride), ("window", window)):
            if value is not None and value < 1:
                raise ValueError(f"{option} must be positive or null, got {value}")
        self.num_classes = num_classes
        self.multiscale = multiscale
        self.freeze_batch_norm = freeze_batch_norm
        self.recipe = recipe or Recipe()
        self.ignore_index = ignore_index
        self.loss_stride = loss_stride
        self.window = window
        self.initial_weights = weights
        self.trunk = build_trunk(trunk, self.output_stride)
        self.weights_sha256 = (
            load_initial_weights(self.trunk, weights, check=check_weights)
            if weights is not None
            else None
        )
        self.criterion = criterion or nn.CrossEntropyLoss(ignore_index=ignore_index)
        self.scores = SegmentationScores(num_classes, ignore_index)
        self.image_iou: dict[str, float] = {}
        self.head: nn.Module = nn.Identity()
        mean, std = normalisation(weights)
        self.register_buffer("mean", torch.tensor(mean).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(3, 1, 1), persistent=False)
        if freeze_batch_norm:
            for norm in self._batch_norms():
                norm.requires_grad_(requires_grad=False)
                # Lightning calls train() no more, which keeps them so.
                norm.eval()  # unscored: no run with frozen norms is older than this line

    @property
    def num_outputs(self) -> int:
        """Number of outputs that have a loss: 4 with MSC, else 1."""
        return len(SCALES) + 1 if self.multiscale else 1

    def _batch_norms(self) -> list[nn.Module]:
        norms = nn.modules.batchnorm._BatchNorm  # noqa: SLF001 - torch has no public base class
        return [m for m in self.trunk.modules() if isinstance(m, norms)]

    def train(self, mode: bool = True) -> "SegmentationModule":
        """Training mode, in which frozen batch normalisation stays in evaluation mode."""
        super().train(mode)
        if self.freeze_batch_norm:
            for norm in self._batch_norms():
                norm.eval()
        return self

    def normalise(self, images: Tensor) -> Tensor:
        """RGB images 0-255 ``(B, 3, H, W)`` as the trunk expects them."""
        return (images - self.mean) / self.std

    def single_scale(self, images: Tensor) -> Tensor:
        """Logits of normalised images at one scale, on the architecture's own grid."""
        raise NotImplementedError

    def outputs(self, images: Tensor) -> list[Tensor]:
        """Every output that has a loss, the final one last.

        Args:
            images: ``(B, 3, H, W)``, normalised.

        Returns:
            Logits ``(B, C, h, w)``: one output, or with MSC those at scales 1, 0.75 and 0.5 and
            their maximum.
        """
        return (
            pyramid(self.single_scale, images) if self.multiscale else [self.single_scale(images)]
        )

    def forward(self, images: Tensor) -> Tensor:
        """Final logits ``(B, C, h, w)`` of normalised images ``(B, 3, H, W)``.

        FCN answers at the size of the images, DeepLab on its grid of stride 8.
        """
        return self.outputs(images)[-1]

    def training_step(self, batch: dict[str, Any], batch_idx: int) -> Tensor:  # noqa: ARG002
        """Sum of the losses of all outputs, each on its own grid or all on that of the loss."""
        outputs = self.outputs(self.normalise(batch["image"]))
        if self.loss_stride is not None:
            height, width = (-(-n // self.loss_stride) for n in batch["image"].shape[-2:])
            outputs = [resize(z, (height, width)) for z in outputs]
        losses = [self.criterion(z, resize_labels(batch["mask"], z.shape[-2:])) for z in outputs]
        loss: Tensor = torch.stack(losses).sum()
        self.log("train/loss", loss, batch_size=len(outputs[0]))
        return loss

    def full_logits(self, images: Tensor, size: tuple[int, int] | None = None) -> Tensor:
        """Logits of every pixel.

        Args:
            images: uint8 RGB ``(B, 3, H, W)``.
            size: Height and width of the answer, default those of the images.

        Returns:
            ``(B, C, H, W)``, interpolated bilinearly; with ``window`` from those averaged by
            :func:`~reproduce.models.sliding.sliding_logits`.
        """
        images = self.normalise(images)
        logits = sliding_logits(self, images, self.window) if self.window else self(images)
        return resize(logits, size or images.shape[-2:])

    def segment(self, images: Tensor, size: tuple[int, int] | None = None) -> Tensor:
        """Class of every pixel, int64 ``(B, H, W)``: argmax of :meth:`full_logits`."""
        return self.full_logits(images, size).argmax(1)

    def on_validation_epoch_start(self) -> None:
        """Forget the scores of an earlier pass (the sanity check, for one)."""
        self.scores.reset()
        self.image_iou = {}

    def validation_step(self, batch: dict[str, Any], batch_idx: int) -> None:  # noqa: ARG002
        """Count the confusion of each image at the size of its mask."""
        labels = self.segment(batch["image"], batch["mask"].shape[-2:])
        for name, prediction, truth in zip(batch["id"], labels, batch["mask"], strict=True):
            matrix = confusion_matrix(prediction, truth, self.num_classes, self.ignore_index)
            self.scores.add(matrix)
            self.image_iou[name] = iou_per_class(matrix).nanmean().item()

    def on_validation_epoch_end(self) -> None:
        """Log mean IoU and pixel accuracy in percent."""
        scores = self.scores.compute()
        self.log("val/miou", scores["miou"] * 100)
        self.log("val/pixel_accuracy", scores["pixel_accuracy"] * 100)

    on_test_epoch_start = on_validation_epoch_start
    test_step = validation_step
    on_test_epoch_end = on_validation_epoch_end

    def predict_step(self, batch: dict[str, Any], batch_idx: int) -> dict[str, Any]:  # noqa: ARG002
        """Class of every pixel of each image."""
        return {"id": batch["id"], "labels": self.segment(batch["image"])}

    def parts(self) -> tuple[nn.Module, nn.Module]:
        """Layers that initial weights may fill, and new ones with the recipe's head factor."""
        return self.trunk, self.head

    def configure_optimizers(self) -> Any:  # noqa: ANN401 - Lightning's union of forms
        """SGD with the groups and the policy of the recipe."""
        steps = int(self.trainer.estimated_stepping_batches)
        optimiser, schedule = build_optimiser(*self.parts(), self.recipe, steps)
        return {
            "optimizer": optimiser,
            "lr_scheduler": {"scheduler": schedule, "interval": "step", "frequency": 1},
        }
