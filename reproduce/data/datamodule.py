"""The LightningDataModule that loads every data set of the catalogue."""

import os
from pathlib import Path
from typing import Any, ClassVar

import lightning as L
from torch.utils.data import DataLoader

from reproduce.data.catalog import DataSet
from reproduce.data.loading import EpochSampler, SegmentationDataset
from reproduce.data.transforms import TrainTransform
from reproduce.errors import UserError


class SegmentationDataModule(L.LightningDataModule):
    """Loaders over one data set; batches are described in ``reproduce.models.module``.

    The loaders split the data over processes by themselves: train with the trainer's option
    ``use_distributed_sampler=False``. Validation images keep their size, so their batch size must
    be 1 unless all sizes are equal.

    Args:
        root: Folder of the data set.
        batch_size: Images per training batch (and device).
        crop: Side of the training crop, after ``downscale``.
        scale: Range of random scaling, ``None`` for none.
        flip: Random horizontal flip.
        train_split: Split to train on.
        val_split: Split to evaluate on; also that of ``test`` and ``predict``.
        val_batch_size: Images per validation batch.
        downscale: Whole factor by which the networks see images smaller, in training and in
            validation: the mean over boxes of so many pixels. Training masks follow by nearest
            neighbour. Validation masks keep their size, to which the logits are interpolated, so
            that scores stand for every pixel of the data set.
        num_workers: Loader processes; 0 loads in the main one. Does not change what is loaded.
        cache: Keep decoded images in memory.
        seed: Decides order and augmentation; ``None``: that of ``seed_everything``.

    Raises:
        UserError: If ``downscale`` is less than 1.
    """

    data: ClassVar[DataSet]

    def __init__(
        self,
        root: Path,
        batch_size: int = 10,
        crop: int = 321,
        scale: tuple[float, float] | None = None,
        flip: bool = True,
        train_split: str = "train",
        val_split: str = "val",
        val_batch_size: int = 1,
        downscale: int = 1,
        num_workers: int = 0,
        cache: bool = False,
        seed: int | None = None,
    ) -> None:
        super().__init__()
        self.root = Path(root)
        self.batch_size = batch_size
        self.crop = crop
        self.scale = scale
        self.flip = flip
        self.train_split = train_split
        self.val_split = val_split
        self.val_batch_size = val_batch_size
        if downscale < 1:
            raise UserError(
                f"downscale is {downscale}, expected a whole factor from 1 (full resolution)"
            )
        self.downscale = downscale
        self.num_workers = num_workers
        self.cache = cache
        self.seed = seed
        #: Epoch, and samples of it that were used, of a run that goes on.
        self.resume = (0, 0)

    @property
    def num_classes(self) -> int:
        """Number of classes, background included."""
        return len(self.data.classes.names)

    def prepare_data(self) -> None:
        """Generate the files where the data set is a generated one."""
        if self.data.make is not None:
            self.data.make(self.root)

    def setup(self, stage: str) -> None:  # noqa: ARG002 - Lightning's signature
        """List the files and fix the seed."""
        seed = int(os.environ.get("PL_GLOBAL_SEED", "0")) if self.seed is None else self.seed
        transform = TrainTransform(self.crop, self.scale, flip=self.flip, seed=seed)
        self.sampler_seed = seed
        self.train_set = self._dataset(self.train_split, transform)
        self.val_set = self.plain_set(self.val_split)

    def _dataset(self, split: str, transform: TrainTransform | None) -> SegmentationDataset:
        samples = self.data.split(self.root, split)
        return SegmentationDataset(
            samples,
            self.data.classes_at(self.root),
            transform,
            downscale=self.downscale,
            cache=self.cache,
        )

    def plain_set(self, split: str) -> SegmentationDataset:
        """Images of a split as in validation: whole and without augmentation."""
        return self._dataset(split, None)

    def _loader(self, dataset: SegmentationDataset, **options: Any) -> DataLoader[dict[str, Any]]:  # noqa: ANN401 - passed on
        return DataLoader(
            dataset,
            num_workers=self.num_workers,
            persistent_workers=self.num_workers > 0,
            **options,
        )

    def _process(self) -> tuple[int, int]:
        """Rank and number of processes."""
        trainer = self.trainer
        return (trainer.global_rank, trainer.world_size) if trainer else (0, 1)

    def train_dataloader(self) -> DataLoader[dict[str, Any]]:
        """Shuffled, augmented batches of equal size; the rest of an epoch is dropped."""
        sampler = EpochSampler(len(self.train_set), self.sampler_seed, *self._process())
        sampler.epoch, sampler.used = self.resume
        return self._loader(
            self.train_set, batch_size=self.batch_size, sampler=sampler, drop_last=True
        )

    def val_dataloader(self) -> DataLoader[dict[str, Any]]:
        """Every validation image once; several processes share them without repeats."""
        rank, world = self._process()
        mine = range(rank, len(self.val_set), world)
        return self._loader(self.val_set, batch_size=self.val_batch_size, sampler=mine)

    test_dataloader = val_dataloader
    predict_dataloader = val_dataloader
