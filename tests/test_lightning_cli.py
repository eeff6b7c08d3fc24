"""What a configuration is built into."""

from typing import Any

import pytest
import torch

from reproduce.experiments import compose, merge
from reproduce.lightning_cli import build_cli
from reproduce.models import SegmentationModule


def network(scale: str, **trainer: Any) -> SegmentationModule:
    nothing = {"model": {"init_args": {"weights": None}}, "data": {"init_args": {"root": "."}}}
    config = merge(compose("deeplab_resnet101", "voc", "level_set", scale), nothing)
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    built: SegmentationModule = build_cli({"seed_everything": 0, **config}, quiet | trainer).model
    return built


@pytest.mark.parametrize(("scale", "last"), [("demo", False), ("lite", True)])
def test_only_depthwise_convolutions_get_channels_last(scale: str, last: bool) -> None:
    kernels = [p for p in network(scale, accelerator="cpu").parameters() if p.dim() == 4]
    wide = [p for p in kernels if p.shape[1] > 1 and p.shape[-1] > 1]
    assert wide
    for kernel in wide:
        assert kernel.is_contiguous(memory_format=torch.channels_last) is last


def test_channels_last_changes_nothing_but_rounding() -> None:
    net = network("lite", accelerator="cpu").eval()
    images = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        found = net(images)
        expected = net.to(memory_format=torch.contiguous_format)(images)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
