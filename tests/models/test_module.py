"""What every network does in a fit of Lightning's."""

from pathlib import Path

import lightning as L
import pytest
import torch

from reproduce.data import VOCDataModule
from reproduce.models import FCN


@pytest.mark.parametrize("frozen", [True, False])
def test_a_fit_moves_batch_norm_unless_frozen(frozen: bool, voc: Path) -> None:
    """With a validation between the steps, after which Lightning restores the modes it found."""
    net = FCN(trunk="thin", freeze_batch_norm=frozen)
    before = {name: value.clone() for name, value in net.named_buffers()}
    trainer = L.Trainer(
        enable_progress_bar=False,
        enable_model_summary=False,
        logger=False,
        max_steps=3,
        val_check_interval=1,
        check_val_every_n_epoch=None,
        enable_checkpointing=False,
        use_distributed_sampler=False,
        accelerator="cpu",
    )
    L.seed_everything(0)
    trainer.fit(net, VOCDataModule(voc, batch_size=2, crop=32))
    assert trainer.global_step == 3
    moved = [n for n, value in net.named_buffers() if not torch.equal(value, before[n])]
    norms = [name for name in before if "running" in name or "tracked" in name]
    assert len(norms) == 3 * len(net._batch_norms()) > 0
    assert set(norms).isdisjoint(moved) if frozen else set(norms) <= set(moved)
