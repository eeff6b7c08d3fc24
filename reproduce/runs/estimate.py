"""What a run will take here: one training step of its network, measured."""

import logging
import time
import warnings
from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from reproduce.evaluations import training_config
from reproduce.experiments import merge
from reproduce.lightning_cli import build_cli


class Estimate(NamedTuple):
    """Cost of training, without loading and evaluating.

    Attributes:
        step_seconds: One step of a whole batch.
        memory: Bytes of weights, gradients, momentum and of what one batch keeps for backward.
        device: Where it was measured.
    """

    step_seconds: float
    memory: int
    device: str

    def over(self, steps: int) -> str:
        """Such as ``about 3.2 h and 9.1 GiB on 2 cores`` for a schedule of so many steps."""
        seconds = self.step_seconds * steps
        length = f"{seconds / 3600:.1f} h" if seconds >= 3600 else f"{seconds / 60:.1f} min"
        size = f"{self.memory / 2**30:.1f} GiB" if self.memory >= 2**30 else "less than 1 GiB"
        return f"about {length} and {size} on {self.device}"


def measure(config: Mapping[str, Any], rounds: int = 2) -> Estimate:
    """Time and memory of a configuration's training on the machine at hand.

    A step on random images, after one to warm up, is scaled to the batch; there are as many of
    them as fit into 512x512 pixels, so one at the paper's crops and a whole batch of small ones.
    Memory is counted from the tensors autograd keeps, so it is
    the same for a CPU and a GPU; libraries' workspaces come on top.

    Args:
        config: Full configuration; its initial weights are not needed.
        rounds: Steps, of which the fastest counts.
    """
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    anywhere = {"model": {"init_args": {"weights": None}}, "data": {"init_args": {"root": "."}}}
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    module = build_cli(merge(training_config(config), anywhere), quiet).model.to(device).train()
    options = config["data"]["init_args"]
    side, classes = options["crop"], config["model"]["init_args"]["num_classes"]
    batch = min(max(512**2 // side**2, 1), options["batch_size"])
    images = torch.randint(0, 256, (batch, 3, side, side), dtype=torch.uint8, device=device)
    masks = torch.randint(0, classes, (batch, side, side), device=device)
    kept: dict[int, int] = {}
    parameters = {p.data_ptr() for p in module.parameters()}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in parameters:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    def step() -> float:
        start = time.perf_counter()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it logs without a trainer
            module.training_step({"image": images, "mask": masks}, 0).backward()
        if device == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter() - start

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        step()
    seconds = min(step() for _ in range(rounds))
    trained = sum(p.numel() for p in module.parameters() if p.requires_grad) * 4
    fixed = sum(p.numel() for p in module.parameters()) * 4 + 2 * trained
    cores = torch.get_num_threads()
    here = f"{cores} cores" if cores > 1 else "1 core"
    name = torch.cuda.get_device_name() if device == "cuda" else here
    scale = options["batch_size"] / batch
    return Estimate(seconds * scale, int(fixed + sum(kept.values()) * scale), name)
