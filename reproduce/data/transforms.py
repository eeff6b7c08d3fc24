"""Training augmentation with albumentations, seeded per image and epoch."""

import hashlib
import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reproduce.data.labels import VOID

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # it would ask the network

import albumentations as A
import cv2

cv2.setNumThreads(0)  # loader workers and runs are the unit of parallel work here

#: ImageNet's mean colour: padding becomes zero after normalisation.
MEAN_COLOUR = (124, 116, 104)


class TrainTransform:
    """Random scale, crop and horizontal flip of an image and its mask.

    Args:
        crop: Side of the square crop; smaller images are padded with the mean colour and void.
        scale: Range of the random scale, ``None`` for none.
        flip: Whether half of the images are mirrored.
        seed: Together with the epoch and the index of an image it decides its augmentation, so
            that neither the number of workers nor the loss changes what is seen.
    """

    def __init__(
        self, crop: int, scale: tuple[float, float] | None, *, flip: bool, seed: int
    ) -> None:
        self.seed = seed
        steps: list[Any] = []
        if scale is not None:
            limits = (scale[0] - 1, scale[1] - 1)
            steps.append(A.RandomScale(limits, interpolation=cv2.INTER_LINEAR, p=1))
        steps += [
            A.PadIfNeeded(
                crop,
                crop,
                border_mode=cv2.BORDER_CONSTANT,
                fill=MEAN_COLOUR,
                fill_mask=VOID,
                position="random",
            ),
            A.RandomCrop(crop, crop),
        ]
        if flip:
            steps.append(A.HorizontalFlip(p=0.5))
        self.compose = A.Compose(steps)

    def __call__(
        self, image: NDArray[np.uint8], mask: NDArray[np.uint8], epoch: int, index: int
    ) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Augmented image ``(crop, crop, 3)`` and mask ``(crop, crop)``."""
        key = hashlib.sha256(f"{self.seed} {epoch} {index}".encode()).digest()
        self.compose.set_random_seed(int.from_bytes(key[:4], "little"))
        out = self.compose(image=image, mask=mask)
        return out["image"], out["mask"]
