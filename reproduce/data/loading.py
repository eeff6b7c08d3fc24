"""Data set and sampler whose order and augmentation depend on the seed alone."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset, Sampler

from reproduce.data.images import read_pair, reduce_image, reduce_mask
from reproduce.data.labels import ClassSet
from reproduce.data.samples import Sample

Pair = tuple[NDArray[np.uint8], NDArray[np.uint8]]


class SegmentationDataset(Dataset[dict[str, Any]]):
    """Images and masks of a list of samples.

    Args:
        samples: Files.
        classes: Classes and the ids in the files.
        transform: ``(image, mask, epoch, index) -> (image, mask)``, for training.
        downscale: Images are reduced by this factor; masks too where there is a transform (in
            training), while others keep the size at which predictions are scored.
        cache: Keep decoded images in memory.
    """

    def __init__(
        self,
        samples: list[Sample],
        classes: ClassSet,
        transform: Callable[..., Pair] | None = None,
        *,
        downscale: int = 1,
        cache: bool = False,
    ) -> None:
        self.samples = samples
        self.classes = classes
        self.transform = transform
        self.downscale = downscale
        self.cache: dict[int, Pair] | None = {} if cache else None

    def __len__(self) -> int:
        """Number of samples."""
        return len(self.samples)

    def _read(self, index: int) -> Pair:
        if self.cache is not None and index in self.cache:
            return self.cache[index]
        image, mask = read_pair(self.samples[index], self.classes)
        pair = (
            reduce_image(image, self.downscale),
            mask if self.transform is None else reduce_mask(mask, self.downscale),
        )
        if self.cache is not None:
            self.cache[index] = pair
        return pair

    def __getitem__(self, key: int | tuple[int, int]) -> dict[str, Any]:
        """Sample by index, or by (epoch, index) from :class:`EpochSampler`.

        Returns:
            ``image`` uint8 ``(3, H, W)``, ``mask`` int64 ``(H, W)`` (larger than the image where
            only the image is reduced) and ``id``.
        """
        epoch, index = key if isinstance(key, tuple) else (0, key)
        image, mask = self._read(index)
        if self.transform is not None:
            image, mask = self.transform(image, mask, epoch, index)
        return {
            "image": torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1))),
            "mask": torch.from_numpy(mask.astype(np.int64)),
            "id": self.samples[index].name,
        }


class EpochSampler(Sampler[tuple[int, int]]):
    """A new permutation in every epoch; hands (epoch, index) to the data set.

    Args:
        length: Number of samples.
        seed: Equal seeds give equal permutations, whatever the state of torch's generator.
        rank: Which of the processes this is.
        world: Number of processes. They take turns, so that their batches together are the batch
            a single process would see; a rest that is no full turn is left out.
    """

    def __init__(self, length: int, seed: int, rank: int = 0, world: int = 1) -> None:
        self.length = length
        self.seed = seed
        self.rank = rank
        self.world = world
        self.epoch = 0
        self.used = 0

    def __len__(self) -> int:
        """Samples in an epoch of this process."""
        return self.length // self.world

    def set_epoch(self, epoch: int) -> None:
        """Choose the permutation; Lightning calls it before every epoch."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[tuple[int, int]]:
        """Keys of one epoch; those that a resumed run has ``used`` are left out once."""
        order = np.random.default_rng([self.seed, self.epoch]).permutation(self.length)
        mine = order[self.rank :: self.world][self.used : len(self)]
        self.used = 0
        return ((self.epoch, int(index)) for index in mine)
