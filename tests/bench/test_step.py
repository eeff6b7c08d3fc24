"""The overhead of a training step: the same work for both losses, and nothing left behind."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from reproduce.bench.overhead import CROSS_ENTROPY, LEVEL_SET, calibrate, measure_overhead
from reproduce.bench.step import bench_step, made_up_batch
from reproduce.experiments import read_table
from reproduce.losses import CrossEntropyLevelSetLoss
from reproduce.models import DeepLabLargeFOV, DeepLabResNet101, Recipe
from reproduce.runs.execute import base_record, execute
from reproduce.runs.fingerprint import code_fingerprint
from reproduce.runs.job import Job, write_job
from reproduce.runs.plan import plan
from reproduce.runs.record import read_record, summary, write_record
from tests.conftest import make_voc


def small_network(**options: Any) -> DeepLabLargeFOV:
    torch.manual_seed(0)
    return DeepLabLargeFOV(trunk="thin", hidden=8, num_classes=5, dilation=2, **options)


class Recorder(CrossEntropyLevelSetLoss):
    """Keeps what it is asked."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[torch.Tensor, torch.Tensor]] = []

    def forward(self, logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        self.calls.append((logits.detach().clone(), target.clone()))
        return super().forward(logits, target)


def test_overhead_of_a_small_network() -> None:
    net = small_network(dropout=0.0, recipe=Recipe(lr=0.1, weight_decay=0.1))
    criterion, recorder = net.criterion, Recorder()
    before = {name: value.clone() for name, value in net.named_parameters()}
    batches = [made_up_batch(2, 33, 5), made_up_batch(2, 33, 5)]
    batches[1]["image"] = 255 - batches[1]["image"]
    told: list[int] = []
    found = measure_overhead(net, recorder, batches, rounds=4, tell=told.append)
    assert told == [1, 2, 3, 4]
    for part in ("step", "loss"):
        assert set(found[part]) == {CROSS_ENTROPY, LEVEL_SET}
        for result in found[part].values():
            assert len(result["seconds"]) == 4
            assert all(second > 0 for second in result["seconds"])
            assert result["peak_bytes"] > 0
    assert (found["images"], found["crop"], found["grids"]) == (2, [33, 33], [[5, 5]])
    assert (found["rounds"], found["classes"]) == (4, 5)
    json.dumps(found)
    # Rounds go through the batches, and steps leave the network as it was.
    assert net.criterion is criterion
    for name, value in net.named_parameters():
        assert torch.equal(value, before[name]), name
        assert value.grad is None
    kinds = {tuple(logits.flatten()[:3].tolist()) for logits, _ in recorder.calls}
    assert len(kinds) == 2


def test_a_budget_ends_both_at_the_same_round() -> None:
    found = measure_overhead(
        small_network(), Recorder(), [made_up_batch(1, 17, 5)], rounds=50, budget=0.0
    )
    assert found["rounds"] == 1
    lengths = {len(found["step"][name]["seconds"]) for name in found["step"]}
    assert lengths == {1}


def test_calibration_keeps_deep_activations_finite() -> None:
    torch.manual_seed(0)
    net = DeepLabResNet101(trunk="thin", num_classes=5, rates=(1,), freeze_batch_norm=True)
    batch = made_up_batch(2, 33, 5)
    norms = [layer for layer in net.modules() if isinstance(layer, nn.BatchNorm2d)]
    momenta = [layer.momentum for layer in norms]
    calibrate(net, batch["image"])
    assert [layer.momentum for layer in norms] == momenta
    assert not any(layer.training for layer in norms)
    assert net.training
    assert all((layer.running_mean != 0).any() for layer in norms if layer.running_mean is not None)


def test_a_failing_loss_is_named() -> None:
    class Broken(nn.Module):
        def forward(self, *_: torch.Tensor) -> torch.Tensor:
            raise ValueError("cannot")

    with pytest.raises(RuntimeError, match="level_set: ValueError: cannot"):
        measure_overhead(small_network(), Broken(), [made_up_batch(1, 17, 5)], rounds=1)
    bad = small_network()
    nn.init.constant_(next(bad.head.parameters()), float("nan"))
    with pytest.raises(RuntimeError, match="the loss is nan"):
        measure_overhead(bad, Recorder(), [made_up_batch(1, 17, 5)], rounds=1)


def test_page_of_the_benchmark(tmp_path: Path) -> None:
    text = bench_step(rounds=1, device=torch.device("cpu"), out=tmp_path, scale="demo")
    assert "| deeplab_largefov | 1×64×64 |" in text
    assert "DeepLab-LargeFOV on a GTX 1080Ti: 0.133 s and 0.157 s an image, +18 %." in text
    networks = json.loads((tmp_path / "bench_step.json").read_text())["networks"]
    assert set(networks) == {"deeplab_largefov", "deeplab_resnet101"}


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> Job:
    """The table's run at demo scale, with three rounds."""
    root = tmp_path_factory.mktemp("overhead")
    make_voc(root / "shapes", train=10, val=3, classes=7)
    (found,) = plan(
        read_table("overhead"),
        scale="demo",
        seeds=3,
        runs=root / "runs",
        data=root / "shapes",
        only="deeplab_largefov",
    )
    config = {**found.config, "evaluation": {"overhead": {"rounds": 3, "seconds": 60}}}
    return replace(found, config=config)


def test_the_job(job: Job) -> None:
    assert (job.kind, job.steps, dict(job.needs)) == ("timing", 3, {})
    paper = plan(read_table("overhead"), scale="paper", seeds=1, runs=job.folder, problems=[])
    assert [each.config["model"]["init_args"]["weights"] for each in paper] == [None, None]
    assert [each.config["data"]["init_args"]["crop"] for each in paper] == [512, 321]


def test_the_run(job: Job) -> None:
    described = write_job(job, threads=1, wandb="off")
    record = {**base_record(described), **execute(job.folder)}
    path = job.folder / "record.json"
    write_record(path, record)
    found = read_record(path)
    assert found["state"] == "completed"
    assert found["code"] == code_fingerprint(found["config"])
    assert found["weights"]["initial"] == "random"
    assert found["overhead"]["rounds"] == 3
    assert found["overhead"]["images"] == 8
    assert "level_set" in summary(found)
    assert not list(job.folder.glob("*.ckpt"))
    incomplete = {key: value for key, value in found.items() if key != "overhead"}
    path.write_text(json.dumps(incomplete))
    with pytest.raises(Exception, match="lacks overhead"):
        read_record(path)


def test_other_fingerprints_do_not_hang_on_the_benchmark(job: Job) -> None:
    plain = {key: value for key, value in job.config.items() if key != "evaluation"}
    scored = {**plain, "evaluation": {"crf": None}}
    codes = {code_fingerprint(config) for config in (plain, scored, job.config)}
    assert len(codes) == 3
