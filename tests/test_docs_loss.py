"""docs/loss.md: its blocks run, its claims hold, its picture is what the code draws."""

import re
import runpy
from pathlib import Path

import pytest
import torch

import reproduce.losses
from reproduce.experiments import REPOSITORY
from reproduce.losses.heaviside import dirac, heaviside
from reproduce.losses.rival import RivalLoss
from reproduce.tables.loss_figure import (
    PATH,
    WEIGHT,
    draw_loss,
    energy_of_true_class,
    gradient_share,
)

TEXT = (REPOSITORY / "docs" / "loss.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)

#: What the block about a module that is not the reader's imports.
SOMEWHERE = """
import lightning as L, torch
from torch import nn
class TheirModule(L.LightningModule):
    def __init__(self):
        super().__init__()
        self.net, self.criterion = nn.Conv2d(3, 5, 1), nn.CrossEntropyLoss(ignore_index=255)
    def training_step(self, batch, batch_idx):
        return self.criterion(self.net(batch[0]), batch[1])
    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.01)
data = [(torch.randn(3, 8, 8), torch.randint(0, 5, (8, 8))) for _ in range(4)]
their_loader = torch.utils.data.DataLoader(data, batch_size=2)
"""


def p(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


@pytest.mark.parametrize("block", BLOCKS)
def test_blocks_run(block: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "somewhere.py").write_text(SOMEWHERE)
    (tmp_path / "block.py").write_text(block)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    names = runpy.run_path("block.py")
    assert "trainer" not in names or names["trainer"].global_step == 2
    assert "loss" not in names or names["loss"].isfinite()


def test_three_short_blocks() -> None:
    assert len(BLOCKS) == 3
    assert all(len(block.splitlines()) <= 14 for block in BLOCKS)
    assert len(TEXT.splitlines()) <= 150


def test_every_loss_is_listed() -> None:
    names = {name for name in reproduce.losses.__all__ if name.endswith(("Loss", "Pooling"))}
    rivals = {name for name in names if issubclass(getattr(reproduce.losses, name), RivalLoss)}
    assert len(rivals) == 10
    assert rivals == set(re.findall(r"^\| `(\w+)` \|", TEXT, re.MULTILINE)) & names


def test_the_picture_is_what_the_code_draws(tmp_path: Path) -> None:
    draw_loss(tmp_path / "loss.svg")
    assert (tmp_path / "loss.svg").read_bytes() == PATH.read_bytes()


def test_claims_about_the_gradient() -> None:
    phi = p(0.0, 1 / 21 - 0.5)
    delta = dirac(phi, heaviside(phi))
    assert delta is not None
    assert f"{delta[0]:.0f}" == "10"
    assert f"{delta[1]:.1e}" == "5.5e-07"
    share = gradient_share(p(1 / 21, 0.5, 0.9), "mahf")
    assert share[1] > 1 > share[2] > share[0]


def test_claims_about_the_energy() -> None:
    energy = energy_of_true_class(p(0.01, 0.3, 0.5, 0.7, 0.99))
    torch.testing.assert_close(energy, energy.flip(0))  # blind to inversion
    assert energy[0] < 1e-6
    assert energy[2].item() == pytest.approx(2 * 0.25 * 0.75)  # two classes, n (N - n) / N each
    values = p(0.35, 0.4, 0.45, 0.5)
    total = WEIGHT * energy_of_true_class(values) - values.log()
    assert total[1] < total[0]  # a minimum below one half
    assert total[1] < total[2]


def test_the_share_is_that_of_autograd() -> None:
    """One pixel of a right image, moved along its own probability."""
    pixels = 2000
    target = (torch.arange(pixels) < pixels // 2).long().view(1, 1, pixels)
    sure = torch.full((pixels,), 40.0, dtype=torch.float64)
    towards = torch.where(target.flatten() == 1, sure, -sure)
    logit = torch.logit(p(0.45)).requires_grad_()
    towards = torch.cat([logit, towards[1:]])
    logits = torch.stack([-towards / 2, towards / 2]).view(1, 2, 1, pixels)
    energy = reproduce.losses.level_set_energy(logits, target).sum()
    cross_entropy = torch.nn.functional.cross_entropy(logits, target)
    (ours,) = torch.autograd.grad(WEIGHT / pixels * energy, logit, retain_graph=True)
    (theirs,) = torch.autograd.grad(cross_entropy, logit)
    # Both classes have a contour here, each with the same part.
    expected = 2 * gradient_share(p(0.45), "mahf")
    torch.testing.assert_close(ours / theirs, expected, rtol=5e-3, atol=0)
