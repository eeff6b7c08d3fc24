"""Compilation as a callback."""

from functools import partial

import lightning as L
import pytest
import torch
from torch import Tensor, nn
from torch._dynamo.testing import CompileCounter
from torch.utils.data import DataLoader, TensorDataset

from reproduce.callbacks import Compile, LevelSetCallback


class Network(L.LightningModule):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.trunk = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU())
        self.head = nn.Conv2d(4, 2, 1)
        self.criterion = nn.CrossEntropyLoss()

    def training_step(self, batch: list[Tensor], _: int) -> Tensor:
        loss: Tensor = self.criterion(self.head(self.trunk(batch[0])), batch[1])
        return loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


def fit(*callbacks: L.Callback) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(4, 3, 8, 8, generator=generator)
    data = TensorDataset(images, (images[:, 0] > 0.5).long())
    trainer = L.Trainer(
        max_steps=4,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[*callbacks, LevelSetCallback(lam=4e-4)],
    )
    network = Network()
    trainer.fit(network, DataLoader(data, batch_size=2))
    assert not any(child._compiled_call_impl for child in network.children())
    return dict(network.state_dict())


def test_compiled_layers_train_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trunk and head are one graph each; names of the weights stay."""
    counter = CompileCounter()
    expected = fit()
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend=counter))
    found = fit(Compile())
    assert counter.frame_count == 2
    assert found.keys() == expected.keys()
    for name, value in found.items():
        torch.testing.assert_close(value, expected[name])
