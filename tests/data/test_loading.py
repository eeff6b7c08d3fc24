"""Order and augmentation: different in every epoch and worker, equal for equal seeds."""

from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import pytest
import torch

from reproduce.data import (
    CamVidDataModule,
    CityscapesDataModule,
    ShapesDataModule,
    VOCDataModule,
    shapes,
)
from reproduce.data.loading import EpochSampler
from reproduce.data.transforms import MEAN_COLOUR, TrainTransform
from reproduce.errors import UserError
from tests.conftest import write_mask


def module(root: Path, **options: Any) -> VOCDataModule:
    defaults: dict[str, Any] = {"batch_size": 2, "crop": 32, "scale": (0.5, 1.5), "seed": 3}
    data = VOCDataModule(root, **{**defaults, **options})
    data.setup("fit")
    return data


def epochs(data: VOCDataModule, count: int) -> list[list[dict[str, Any]]]:
    loader = data.train_dataloader()
    out = []
    for epoch in range(count):
        loader.sampler.set_epoch(epoch)  # type: ignore[attr-defined]
        out.append(list(loader))
    return out


def test_batches(voc: Path) -> None:
    (batch, *_), _ = epochs(module(voc), 2)
    assert batch["image"].shape == (2, 3, 32, 32)
    assert batch["image"].dtype == torch.uint8
    assert batch["mask"].shape == (2, 32, 32)
    assert batch["mask"].dtype == torch.int64
    assert len(batch["id"]) == 2


def test_workers_change_nothing_epochs_and_seeds_do(voc: Path) -> None:
    alone, workers = epochs(module(voc), 2), epochs(module(voc, num_workers=2), 2)
    for a, b in zip(sum(alone, []), sum(workers, []), strict=True):  # noqa: RUF017
        assert a["id"] == b["id"]
        assert torch.equal(a["image"], b["image"])
        assert torch.equal(a["mask"], b["mask"])

    def pictures(runs: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
        return {n: i for b in runs for n, i in zip(b["id"], b["image"], strict=True)}

    first, second = map(pictures, alone)
    assert not any(torch.equal(first[name], second[name]) for name in first)
    other = pictures(epochs(module(voc, seed=4), 1)[0])
    assert not any(torch.equal(first[name], other[name]) for name in first)


def test_lightning_advances_the_epoch(voc: Path) -> None:
    seen: list[int] = []

    class Probe(L.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.layer = torch.nn.Linear(1, 1)

        def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
            seen.append(int(batch["image"].sum()))
            loss: torch.Tensor = self.layer(torch.ones(1)).sum()
            return loss

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.SGD(self.parameters(), lr=0.1)

    trainer = L.Trainer(
        max_epochs=2,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        limit_val_batches=0,
        accelerator="cpu",
    )
    data = module(voc, batch_size=4)
    trainer.fit(Probe(), train_dataloaders=data.train_dataloader())
    expected = [int(b["image"].sum()) for b in sum(epochs(data, 2), [])]  # noqa: RUF017
    assert seen == expected
    assert seen[0] != seen[1]


def test_every_sample_once_an_epoch() -> None:
    sampler = EpochSampler(7, seed=1)
    orders = []
    for epoch in range(3):
        sampler.set_epoch(epoch)
        keys = list(sampler)
        assert {e for e, _ in keys} == {epoch}
        assert sorted(i for _, i in keys) == list(range(7))
        orders.append([i for _, i in keys])
    assert orders[0] != orders[1]


def test_a_resumed_epoch_goes_on_where_it_stopped() -> None:
    whole, resumed = EpochSampler(7, seed=1, rank=1, world=2), EpochSampler(7, 1, 1, 2)
    resumed.used = 2
    assert list(resumed) == list(whole)[2:]
    assert list(resumed) == list(whole)


def test_padding_is_mean_and_void() -> None:
    transform = TrainTransform(40, None, flip=False, seed=0)
    image, mask = transform(np.zeros((10, 60, 3), np.uint8), np.ones((10, 60), np.uint8), 0, 0)
    assert image.shape == (40, 40, 3)
    assert (mask == 255).sum() == 30 * 40
    assert np.array_equal(np.unique(image[mask == 255], axis=0), [MEAN_COLOUR])
    assert (image[mask == 1] == 0).all()


def test_masks_stay_labels_and_move_with_the_image() -> None:
    labels = np.zeros((64, 64), np.uint8)
    labels[:, 20:40] = 7
    image = np.repeat((labels * 30)[..., None], 3, 2)
    transform = TrainTransform(48, (0.5, 1.5), flip=True, seed=0)
    for index in range(20):
        out, mask = transform(image, labels, 0, index)
        assert set(np.unique(mask)) <= {0, 7, 255}
        agreement = (out[..., 0] > 105) == (mask == 7)
        assert agreement[mask != 255].mean() > 0.95


def test_validation_keeps_sizes(voc: Path) -> None:
    sizes = [tuple(b["mask"].shape[1:]) for b in module(voc).val_dataloader()]
    assert sizes == [(48, 60), (52, 58)]


def test_camvid_and_shapes(camvid: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = CamVidDataModule(camvid, batch_size=2, crop=32, val_split="test")
    data.setup("fit")
    batch = next(iter(data.train_dataloader()))
    assert set(batch["mask"].unique().tolist()) <= {*range(11), 255}
    assert data.num_classes == 11
    monkeypatch.setattr(shapes, "COUNTS", {"train": 2, "val": 2})
    demo = ShapesDataModule(tmp_path / "shapes", batch_size=2, crop=64, val_batch_size=2)
    demo.prepare_data()
    demo.setup("fit")
    assert next(iter(demo.val_dataloader()))["image"].shape == (2, 3, 96, 96)
    assert demo.num_classes == 7


def test_downscale(voc: Path) -> None:
    """Training sees means of boxes and their central labels; validation masks keep their size."""
    full, half = module(voc, scale=None, flip=False), module(voc, downscale=3, flip=False)
    for index in range(len(full.val_set)):
        big, small = full.val_set[index], half.val_set[index]
        height, width = big["mask"].shape
        assert torch.equal(big["mask"], small["mask"])
        assert small["image"].shape == (3, -(-height // 3), -(-width // 3))
        assert big["id"] == small["id"]
        pixels = big["image"].numpy().astype(float)
        for y, x in [(0, 0), (5, 7), (small["image"].shape[1] - 1, small["image"].shape[2] - 1)]:
            box = pixels[:, 3 * y : 3 * y + 3, 3 * x : 3 * x + 3]
            assert (
                abs(box.mean((1, 2)) - small["image"][:, y, x].numpy()).max() <= 0.6
            )  # Pillow rounds in fixed point
    pair = half.train_set._read(1)
    mask = full.train_set._read(1)[1]
    assert pair[0].shape[:2] == pair[1].shape == (18, 20)
    for y, x in np.ndindex(pair[1].shape):
        centre = min(3 * y + 1, mask.shape[0] - 1), min(3 * x + 1, mask.shape[1] - 1)
        assert pair[1][y, x] == mask[centre]


def test_downscale_of_one_changes_nothing(voc: Path) -> None:
    for a, b in zip(epochs(module(voc), 1)[0], epochs(module(voc, downscale=1), 1)[0], strict=True):
        assert torch.equal(a["image"], b["image"])
        assert torch.equal(a["mask"], b["mask"])


def test_downscaled_images_are_scored_at_full_size(cityscapes: Path) -> None:
    """The network sees a quarter of the pixels; every labelled pixel is counted."""
    from reproduce.models import SegmentationModule

    class Grey(SegmentationModule):
        def single_scale(self, images: torch.Tensor) -> torch.Tensor:
            assert images.shape == (1, 3, 24, 48)
            return images.mean(1, keepdim=True).repeat(1, 19, 1, 1)

    data = CityscapesDataModule(cityscapes, downscale=2, seed=0)
    data.setup("validate")
    model = Grey(num_classes=19, trunk="thin")
    trainer = L.Trainer(
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        accelerator="cpu",
    )
    trainer.validate(model, datamodule=data, verbose=False)
    valid = sum(int((b["mask"] != 255).sum()) for b in data.val_dataloader())
    assert int(model.scores.confusion.sum()) == valid


def test_bad_downscale(voc: Path) -> None:
    with pytest.raises(UserError, match=r"downscale is 0, expected a whole factor from 1"):
        VOCDataModule(voc, downscale=0)


def test_mask_of_another_image_is_named(voc: Path) -> None:
    write_mask(voc / "VOC2012/SegmentationClass/2007_val000.png", np.zeros((48, 59)))
    with pytest.raises(UserError, match=r"val000.png is 59x48, expected the size of its image"):
        module(voc).val_set[0]
