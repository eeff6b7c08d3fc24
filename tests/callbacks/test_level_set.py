"""The callback on modules that are not ours."""

from collections.abc import Callable
from typing import Any

import lightning as L
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

from reproduce.callbacks import LevelSetCallback
from reproduce.losses import CrossEntropyLevelSetLoss, LevelSetLoss, Reading

LAM = 0.01


class Foreign(L.LightningModule):
    """Somebody else's segmentation module."""

    def __init__(self, criterion: Any) -> None:
        super().__init__()
        self.net = nn.Conv2d(3, 4, 3, padding=1)
        self.criterion = criterion
        self.losses: list[float] = []

    def training_step(self, batch: list[Tensor], batch_idx: int) -> Tensor:
        images, masks = batch
        loss: Tensor = self.criterion(self.net(images), masks)
        self.losses.append(loss.item())
        return loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.5)


class Smoothed(nn.Module):
    """A criterion of another kind, with a buffer."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("weight", torch.tensor([1.0, 2.0, 1.0, 1.0]))

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        return F.cross_entropy(logits, target, self.weight, ignore_index=255)  # type: ignore[arg-type]


def fit(criterion: Any, *callbacks: L.Callback, steps: int = 3) -> tuple[Foreign, L.Trainer]:
    torch.manual_seed(0)
    module = Foreign(criterion)
    images, masks = torch.randn(6, 3, 8, 8), torch.randint(0, 4, (6, 8, 8))
    masks[:, 0] = 255
    trainer = L.Trainer(
        max_steps=steps,
        callbacks=list(callbacks),
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        accelerator="cpu",
        log_every_n_steps=1,
    )
    trainer.fit(module, DataLoader(TensorDataset(images, masks), batch_size=2))
    return module, trainer


def functional(logits: Tensor, target: Tensor) -> Tensor:
    return F.cross_entropy(logits, target, ignore_index=255)


class Sum(nn.Module):
    """What the callback should amount to."""

    def __init__(self, base: Callable[[Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.base, self.energy = base, LevelSetLoss(reference_area=64)

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        total: Tensor = self.base(logits, target) + LAM * self.energy(logits, target)
        return total


@pytest.mark.parametrize(
    "make", [lambda: nn.CrossEntropyLoss(ignore_index=255), Smoothed, lambda: functional]
)
def test_adds_the_energy(make: Callable[[], Any]) -> None:
    ours, trainer = fit(make(), LevelSetCallback(LAM, reference_area=64))
    expected, _ = fit(Sum(make()))
    assert ours.losses == pytest.approx(expected.losses, rel=1e-5)
    torch.testing.assert_close(ours.net.weight, expected.net.weight)
    total = (
        trainer.callback_metrics["train/criterion"]
        + LAM * trainer.callback_metrics["train/level_set"]
    )
    assert total.item() == pytest.approx(ours.losses[-1], rel=1e-5)


@pytest.mark.parametrize("make", [lambda: nn.CrossEntropyLoss(ignore_index=255), Smoothed])
def test_monitors_with_lam_0(make: Callable[[], nn.Module]) -> None:
    watched, trainer = fit(make(), LevelSetCallback(lam=0))
    plain, _ = fit(make())
    assert watched.losses == pytest.approx(plain.losses, rel=1e-5)
    torch.testing.assert_close(watched.net.weight, plain.net.weight)
    assert trainer.callback_metrics["train/level_set"] > 0


def test_plain_cross_entropy_takes_the_fused_path(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    terms = CrossEntropyLevelSetLoss.terms

    def counted(self: CrossEntropyLevelSetLoss, *args: Any) -> Any:
        calls.append(1)
        return terms(self, *args)

    monkeypatch.setattr(CrossEntropyLevelSetLoss, "terms", counted)
    fit(nn.CrossEntropyLoss(ignore_index=255), LevelSetCallback())
    assert len(calls) == 3
    fit(nn.CrossEntropyLoss(ignore_index=255, label_smoothing=0.1), LevelSetCallback())
    assert len(calls) == 3


def test_leaves_the_module_as_it_was() -> None:
    criterion = Smoothed()
    seen: list[list[str]] = []

    class Spy(L.Callback):
        def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
            seen.append(list(pl_module.state_dict()))

    module, _ = fit(criterion, LevelSetCallback(), Spy())
    assert seen == [["net.weight", "net.bias", "criterion.weight"]]
    assert module.criterion is criterion
    assert "forward" not in criterion.__dict__
    module, _ = fit(functional, LevelSetCallback())
    assert module.criterion is functional


def test_ignore_index_of_the_criterion() -> None:
    callback = LevelSetCallback()
    callback.attach(Foreign(nn.CrossEntropyLoss(ignore_index=-7)))
    assert callback.loss.ignore_index == -7
    callback = LevelSetCallback(ignore_index=3)
    callback.attach(Foreign(functional))
    assert callback.loss.ignore_index == 3


def test_without_criterion() -> None:
    with pytest.raises(TypeError, match=r"expected Linear.criterion, a callable"):
        LevelSetCallback().attach(nn.Linear(1, 1))


class TwoOutputs(Foreign):
    """Calls its criterion twice a step, as MSC does four times."""

    num_outputs = 2

    def training_step(self, batch: list[Tensor], batch_idx: int) -> Tensor:
        images, masks = batch
        logits = self.net(images)
        loss: Tensor = self.criterion(2 * logits, masks) + self.criterion(logits, masks)
        self.losses.append(loss.item())
        return loss


def first_loss(module: Foreign, callback: LevelSetCallback) -> tuple[float, float, float]:
    """Loss of one step, and of its parts without the callback: cross-entropies and energies."""
    torch.manual_seed(0)
    images, masks = torch.randn(2, 3, 8, 8), torch.randint(0, 4, (2, 8, 8))
    logits = module.net(images)
    callback.attach(module)
    loss = module.training_step([images, masks], 0).item()
    ce = F.cross_entropy(2 * logits, masks) + F.cross_entropy(logits, masks)
    energy = LevelSetLoss(reference_area=64)
    return loss - ce.item(), energy(2 * logits, masks).item(), energy(logits, masks).item()


@pytest.mark.parametrize(
    "make", [lambda: nn.CrossEntropyLoss(ignore_index=255), lambda: functional]
)
def test_outputs(make: Callable[[], Any]) -> None:
    callback = LevelSetCallback(LAM, reference_area=64)
    added, first, last = first_loss(TwoOutputs(make()), callback)
    assert added == pytest.approx(LAM * (first + last), rel=1e-4)
    callback = LevelSetCallback(LAM, reference_area=64, outputs="last")
    added, _, last = first_loss(TwoOutputs(make()), callback)
    assert added == pytest.approx(LAM * last, rel=1e-4)


class Watch(L.Callback):
    """Keeps the weight and the width of every step."""

    def __init__(self, callback: LevelSetCallback) -> None:
        self.callback, self.seen = callback, list[tuple[float, float]]()

    def on_train_batch_end(self, *_: Any) -> None:
        self.seen.append((self.callback.loss.lam, self.callback.loss.eps))


def test_warm_up_and_shrinking_width() -> None:
    callback = LevelSetCallback(LAM, eps=0.1, start=0.5, eps_start=1.6)
    watch = Watch(callback)
    fit(nn.CrossEntropyLoss(ignore_index=255), callback, watch, steps=4)
    assert [lam for lam, _ in watch.seen] == [0, 0, LAM, LAM]
    assert [eps for _, eps in watch.seen] == pytest.approx([1.6, 0.8, 0.4, 0.2])


def test_another_reading_is_added_beside_the_cross_entropy() -> None:
    reading = Reading(means="batch")

    class Expected(Sum):
        def __init__(self) -> None:
            super().__init__(nn.CrossEntropyLoss(ignore_index=255))
            self.energy = LevelSetLoss(reference_area=64, reading=reading)

    callback = LevelSetCallback(LAM, reference_area=64, reading=reading)
    ours, _ = fit(nn.CrossEntropyLoss(ignore_index=255), callback)
    expected, _ = fit(Expected())
    assert ours.losses == pytest.approx(expected.losses, rel=1e-5)
    plain, _ = fit(nn.CrossEntropyLoss(ignore_index=255), LevelSetCallback(LAM, reference_area=64))
    assert ours.losses != pytest.approx(plain.losses, rel=1e-5)


@pytest.mark.parametrize(
    "options", [{"start": 1.5}, {"eps_start": 0.0}, {"outputs": "first"}], ids=str
)
def test_wrong_options(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        LevelSetCallback(**options)
