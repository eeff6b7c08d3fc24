"""The benchmark of losses: who takes part, what is computed, what is written."""

import json
import os
import time
from pathlib import Path

import pytest
import torch

from reproduce.bench import compare, contestants, growth
from reproduce.bench import loss as bench
from reproduce.bench.compare import inputs, measure
from reproduce.bench.contestants import BASE, COMPILED, FUSED, LAM, VOID, Contestant
from reproduce.losses.native import SWITCH

CPU = torch.device("cpu")
SHAPE = (2, 5, 16, 20)


@pytest.fixture(autouse=True)
def uncompiled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compilation takes seconds; one test does it."""
    plain = Contestant(COMPILED, contestants.cross_entropy)
    monkeypatch.setattr(contestants, "compiled", lambda: plain)
    monkeypatch.setattr(bench, "compiled", lambda: plain)


def test_ours_are_one_loss() -> None:
    logits, target = inputs(SHAPE, CPU)
    assert (target == VOID).any()
    entries = {e.name: e.loss for e in contestants.contestants(CPU) if e.loss}
    base = entries[BASE](logits, target)
    ours = {name: loss(logits, target) for name, loss in entries.items() if name.startswith("CE")}
    assert len(ours) == 4
    for name, value in ours.items():
        torch.testing.assert_close(value, ours[FUSED], msg=name)
        assert value > base
    for name, loss in entries.items():
        (grad,) = torch.autograd.grad(loss(logits, target), logits)
        assert grad.isfinite().all(), name
        if name != "MONAI DiceCE":  # which knows no void
            assert grad.movedim(1, -1)[target == VOID].abs().max() == 0, name


def test_the_path_without_kernel_leaves_the_switch_as_it_was(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for before in (None, "1"):
        if before is None:
            monkeypatch.delenv(SWITCH, raising=False)
        else:
            monkeypatch.setenv(SWITCH, before)
        contestants.without_kernel(*inputs(SHAPE, CPU))
        assert os.environ.get(SWITCH) == before


def test_libraries_that_are_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contestants, "find_spec", lambda _: None)
    notes = {e.name: e.note for e in contestants.contestants(CPU) if e.loss is None}
    assert notes == {"MONAI DiceCE": "not installed", "kornia focal": "not installed"}


def test_measure(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        if len(logits) > 1:
            raise ValueError("only one image")
        return contestants.cross_entropy(logits, target)

    def huge(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        return contestants.cross_entropy(logits.repeat(100, 1, 1, 1)[: len(logits)], target)

    entries = [
        Contestant(BASE, contestants.cross_entropy),
        Contestant("broken", broken),
        Contestant("huge", huge),
        Contestant("absent", None, "not installed"),
    ]
    size = 4 * 2 * 5 * 16 * 20
    monkeypatch.setattr(compare, "_free_bytes", lambda _: 30 * size)
    found = {e["loss"]: e for e in measure(SHAPE, entries, rounds=3, budget=9.0, device=CPU)}
    assert found[BASE]["ratio"] == 1
    assert found[BASE]["rounds"] == 3
    assert found[BASE]["peak_bytes"] >= size
    assert found["broken"]["note"] == "ValueError: only one image"
    assert found["huge"]["note"] == "needs about 0 GiB"
    assert found["absent"] == {"loss": "absent", "rounds": 0, "note": "not installed"}
    assert "seconds" not in found["huge"]


def test_pages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contestants, "find_spec", lambda _: None)  # they take long to load
    monkeypatch.setattr(bench, "SHAPES", (SHAPE,))
    monkeypatch.setattr(growth, "CLASSES", (2, 3))
    monkeypatch.setattr(growth, "SIDE", 8)
    monkeypatch.setattr(growth, "SIDES", (8, 16))
    text = bench.bench_loss([], rounds=1, budget=1.0, device=CPU, out=tmp_path)
    assert (tmp_path / "bench_loss.md").read_text() == text + "\n"
    assert "## 2×5×16×20" in text
    assert f"| {BASE} | 1.00 (1.00 to 1.00) |" in text
    assert "![Growth](bench_loss.svg)" in text
    results = json.loads((tmp_path / "bench_loss.json").read_text())
    assert [point["at"] for point in results["growth"]["classes"]] == [2, 3]
    assert [point["at"] for point in results["growth"]["pixels"]] == [64, 256]
    assert results["shapes"][0]["losses"][0]["loss"] == BASE
    assert "pixels of an image" in (tmp_path / "bench_loss.svg").read_text()
    alone = bench.bench_loss([SHAPE], rounds=1, device=CPU)
    assert "Growth" not in alone


def test_the_naive_energy_is_the_papers() -> None:
    """One class on one side: c1 and c2 by hand."""
    logits = torch.zeros(1, 2, 1, 2)
    energy = contestants.naive_energy(logits, torch.tensor([[[0, 1]]]))
    # H = 1/2 everywhere, so c1 = c2 = 1/2: for both classes 2 pixels of 1/4.
    assert energy.item() == pytest.approx(1.0)
    assert LAM == 4e-4


def test_short_losses_are_timed_in_blocks() -> None:
    """Seconds are those of one call, however many a block has."""
    calls = 0
    pause = 0.0

    def loss(logits: torch.Tensor, _: torch.Tensor) -> torch.Tensor:
        nonlocal calls
        calls += 1
        time.sleep(pause)
        return logits.sum()

    def run() -> float:
        nonlocal calls
        calls = 0
        entries = [Contestant("sum", loss)]
        shape = (1, 2, 4, 4)
        (entry,) = measure(shape, entries, rounds=3, budget=60.0, device=CPU, memory=False)
        assert entry["rounds"] == 3
        return float(entry["seconds"])

    short = run()
    assert calls > 10
    assert short < compare.BLOCK
    pause = 2 * compare.BLOCK
    assert run() >= pause
    assert calls <= 7  # two at a small shape to count memory, one to warm up, one to find out
