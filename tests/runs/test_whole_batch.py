"""What two processes compute together is what one computes of the whole batch."""

import copy
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.multiprocessing import get_context

from reproduce.losses import DiceLoss
from reproduce.runs.batch_norm import CrossProcessBatchNorm, synchronise
from reproduce.runs.whole_batch import _Gather, _gather


def in_two_processes(work: Callable[[int], None], folder: Path) -> None:
    """Run a function of the rank in two processes that talk to each other."""

    def run(rank: int) -> None:
        address = f"file://{folder / 'meeting'}"
        torch.set_num_threads(1)
        torch.distributed.init_process_group("gloo", address, world_size=2, rank=rank)
        work(rank)
        torch.distributed.destroy_process_group()

    context = get_context("fork")
    both = [context.Process(target=run, args=(rank,)) for rank in range(2)]
    for process in both:
        process.start()
    for process in both:
        process.join(60)
    assert [process.exitcode for process in both] == [0, 0]


def mean_gradients(module: nn.Module) -> None:
    """What DDP does."""
    for parameter in module.parameters():
        assert parameter.grad is not None
        torch.distributed.all_reduce(parameter.grad)
        parameter.grad /= 2


def close(found: Tensor | None, expected: Tensor | None) -> None:
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-12)


def test_loss_gradient_and_normalisation(tmp_path: Path) -> None:
    """Of a loss that is no mean over images, with more void in one part."""
    torch.manual_seed(0)
    images = torch.randn(6, 3, 5, 5, dtype=torch.float64)
    target = torch.randint(0, 4, (6, 5, 5))
    target[::2, :4] = 255
    layers = (nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 4, 3, padding=2))
    whole = nn.Sequential(*layers).double().train()
    shared = copy.deepcopy(whole)
    synchronise(shared, torch.device("cpu"))
    expected = DiceLoss()(whole(images), target)
    expected.backward()

    def work(rank: int) -> None:
        logits = shared(images[rank::2])
        loss = DiceLoss()(_Gather.apply(logits), _gather(target[rank::2]))
        close(loss, expected)
        loss.backward()
        mean_gradients(shared)
        for trained, wanted in zip(shared.parameters(), whole.parameters(), strict=True):
            close(trained.grad, wanted.grad)
        for running, counted in zip(shared.buffers(), whole.buffers(), strict=True):
            close(running, counted)
        close(shared.eval()(images), whole.eval()(images))

    in_two_processes(work, tmp_path)


def test_half_precision(tmp_path: Path) -> None:
    images = torch.randn(4, 3, 5, 5).bfloat16()
    norm = CrossProcessBatchNorm(3)

    def work(rank: int) -> None:
        found = norm(images[rank::2])
        assert found.dtype == torch.bfloat16
        expected = nn.BatchNorm2d(3)(images.float())[rank::2]
        torch.testing.assert_close(found.float(), expected, rtol=0.02, atol=0.02)
        assert _gather(images[rank::2]).equal(images)

    in_two_processes(work, tmp_path)


@pytest.mark.parametrize("trained", [True, False])
def test_frozen_normalisation_is_left_alone(trained: bool) -> None:
    network = nn.Sequential(nn.Sequential(nn.BatchNorm2d(2)), nn.Conv2d(2, 2, 1))
    names = list(network.state_dict())
    network[0].requires_grad_(trained)
    synchronise(network, torch.device("cpu"))
    assert isinstance(network.get_submodule("0.0"), CrossProcessBatchNorm) is trained
    assert list(network.state_dict()) == names
    other = nn.Sequential(nn.BatchNorm2d(2))
    synchronise(other, torch.device("cuda"))
    assert isinstance(other[0], nn.SyncBatchNorm)
