"""Seconds per image of a trained network, alone and with the dense CRF behind it (Table 4).

What is timed runs from the decoded image in memory to its labels in memory, for one image at a
time: transfers to and from the device count, reading and decoding do not.
"""

import contextlib
import os
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from reproduce.models import SegmentationModule
from reproduce.postprocess.crf import DenseCRF
from reproduce.postprocess.pool import CRFPool
from reproduce.postprocess.worker import argmax_labels
from reproduce.runs.machine import hardware

#: Seconds by method, then round, then image.
Seconds = dict[str, list[list[float]]]


def network_labels(network: SegmentationModule, image: Tensor) -> Tensor:
    """Classes int64 ``(H, W)`` on the CPU of a uint8 image ``(3, H, W)``."""
    return network.segment(image[None].to(network.device))[0].cpu()


def network_probabilities(network: SegmentationModule, image: Tensor) -> Tensor:
    """What the CRF starts from: softmax ``(C, H, W)`` on the CPU of a uint8 image ``(3, H, W)``."""
    return network.full_logits(image[None].to(network.device)).softmax(1)[0].cpu()


def crf_labels(
    network: SegmentationModule, image: Tensor, crf: DenseCRF
) -> NDArray[np.integer[Any]]:
    """Classes ``(H, W)`` of a uint8 image ``(3, H, W)`` after network and CRF, in this process."""
    return argmax_labels(crf(image.permute(1, 2, 0), network_probabilities(network, image)))


def interleaved(
    methods: Mapping[str, Callable[[int], object]],
    count: int,
    *,
    warmup: int,
    rounds: int,
    now: Callable[[], float] = time.perf_counter,
) -> Seconds:
    """Time methods in turn, so that whatever slows the machine for a while slows them all.

    Each image goes through every method before the next one. The order is drawn anew for each
    image, always with the same seed: after a CRF the caches hold nothing of a network, so that one
    which always came next would look slow.

    Args:
        methods: Called with the number of an image.
        count: Number of images.
        warmup: Images that go through every method beforehand, unrecorded.
        rounds: Passes over the images.
        now: The clock, in seconds.
    """
    names = list(methods)
    seconds: Seconds = {name: [] for name in names}
    order = np.random.default_rng(0)
    with tqdm(total=(warmup + rounds * count) * len(names), desc="timing", disable=None) as bar:
        for index in range(warmup):
            for method in methods.values():
                method(index % count)
                bar.update()
        for turn in range(rounds):
            for name in names:
                seconds[name].append([0.0] * count)
            for index in range(count):
                for name in order.permutation(names):
                    start = now()
                    methods[name](index)
                    seconds[name][turn][index] = now() - start
                    bar.update()
    return seconds


def _clock(device: torch.device) -> Callable[[], float]:
    def now() -> float:
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return time.perf_counter()

    return now


def _summary(rounds: list[list[float]]) -> dict[str, Any]:
    """Per image the median over the rounds; of these the median and the quartiles."""
    seconds = [round(statistics.median(image), 6) for image in zip(*rounds, strict=True)]
    low, median, high = np.quantile(seconds, (0.25, 0.5, 0.75)).tolist()
    return {"seconds": seconds, "median": median, "quartiles": [low, high]}


@contextlib.contextmanager
def _threads(count: int) -> Iterator[None]:
    """Let torch work with so many threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@torch.inference_mode()
def measure_throughput(
    network: SegmentationModule,
    images: Sequence[Tensor],
    crf: DenseCRF,
    *,
    workers: int,
    threads: int,
    rounds: int,
) -> dict[str, Any]:
    """Seconds for all images: network alone, CRF alone in a pool, and both at the same time.

    All three have the same threads and processes, so that both at once take as long as the slower
    one alone unless they are in each other's way.

    Args:
        network: Network, evaluating.
        images: uint8 ``(3, H, W)``; their probabilities are all held in memory.
        crf: The CRF.
        workers: Processes of the pool, which are started beforehand.
        threads: Threads of the network on a processor.
        rounds: Interleaved rounds.

    Returns:
        ``workers``, ``threads``, ``iterations``, ``seconds`` (of ``network``, ``crf`` and ``both``,
        a number for each round) and ``ratio``: the median of both / max(network, crf); 1 if nothing
        is lost.
    """
    pixels = [image.permute(1, 2, 0).contiguous() for image in images]
    maps = [network_probabilities(network, image) for image in images]
    with _threads(threads), CRFPool(crf, workers, queue=2 * max(workers, 1)) as pool:

        def refine(probabilities: Callable[[int], Tensor], count: int) -> None:
            for index in range(count):
                pool.submit(index, pixels[index], probabilities(index))
            for _ in pool.results():
                pass

        methods: dict[str, Callable[[int], object]] = {
            "network": lambda _: [network_probabilities(network, image) for image in images],
            "crf": lambda _: refine(maps.__getitem__, len(maps)),
            "both": lambda _: refine(
                lambda index: network_probabilities(network, images[index]), len(images)
            ),
        }
        for index in range(workers):  # an idle worker takes each, and starts
            pool.submit(index, pixels[0], maps[0])
        refine(maps.__getitem__, 0)
        found = interleaved(methods, 1, warmup=0, rounds=rounds, now=_clock(network.device))
    seconds = {name: [round(turn[0], 6) for turn in taken] for name, taken in found.items()}
    turns = zip(seconds["both"], seconds["network"], seconds["crf"], strict=True)
    ratio = statistics.median(both / max(alone) for both, *alone in turns)
    return {
        "workers": workers,
        "threads": threads,
        "iterations": crf.iterations,
        "seconds": seconds,
        "ratio": ratio,
    }


@torch.inference_mode()
def measure_inference(
    baseline: SegmentationModule,
    level_set: SegmentationModule,
    images: Sequence[Tensor],
    crf: DenseCRF,
    *,
    iterations: Sequence[int] = (5, 10),
    workers: int | None = None,
    warmup: int = 2,
    rounds: int = 3,
) -> dict[str, Any]:
    """Seconds per image of both networks and of the baseline with the CRF; Table 4.

    Args:
        baseline: Network trained with cross-entropy, evaluating.
        level_set: The same network trained with the level set loss, evaluating, on that device.
        images: Decoded images, uint8 ``(3, H, W)`` of any sizes.
        crf: Parameters of the CRF.
        iterations: Its numbers of iterations; the most are those of the throughput.
        workers: Processes of the pool for the throughput; ``None``: one per core, but for the one
            core that a network on the processor has then for itself.
        warmup: Images that go through every method beforehand, unrecorded.
        rounds: Passes over the images; an image counts with the median of its passes.

    Returns:
        For JSON: ``methods`` (``level_set``, ``baseline`` and ``crfs5``, ...: ``seconds`` of each
        image, ``median``, ``quartiles``), ``throughput`` (:func:`measure_throughput`), ``images``
        (how many), ``sizes`` (H and W of each), ``classes``, ``warmup``, ``rounds``, ``crf`` and
        ``hardware`` with the numbers of threads.

    Raises:
        ValueError: Without images or iterations, or if a network is in training mode.
    """
    if not images or not iterations:
        raise ValueError(f"expected images and iterations, got {len(images)} and {iterations}")
    if baseline.training or level_set.training:
        raise ValueError("expected networks that evaluate: call network.eval() first")
    images = [image.cpu() for image in images]
    crfs = {f"crfs{n}": replace(crf, iterations=n) for n in iterations}
    methods: dict[str, Callable[[int], object]] = {
        "level_set": lambda i: network_labels(level_set, images[i]),
        "baseline": lambda i: network_labels(baseline, images[i]),
    }
    for name, chosen in crfs.items():
        methods[name] = lambda i, chosen=chosen: crf_labels(baseline, images[i], chosen)  # type: ignore[misc]
    device = baseline.device
    seconds = interleaved(methods, len(images), warmup=warmup, rounds=rounds, now=_clock(device))
    cores, beside = os.cpu_count() or 1, device.type == "cpu"
    if workers is None:
        workers = max(cores - beside, 1)
    return {
        "methods": {name: _summary(turns) for name, turns in seconds.items()},
        "throughput": measure_throughput(
            baseline,
            images,
            replace(crf, iterations=max(iterations)),
            workers=workers,
            threads=1 if beside else torch.get_num_threads(),
            rounds=rounds,
        ),
        "images": len(images),
        "sizes": [list(image.shape[-2:]) for image in images],
        "classes": baseline.num_classes,
        "warmup": warmup,
        "rounds": rounds,
        "crf": asdict(crf),
        "hardware": {
            "network": hardware(device)["device"],
            "crf": hardware(torch.device("cpu"))["device"],
            "cores": cores,
            "network_threads": torch.get_num_threads(),
            "crf_threads": 1,
        },
    }
