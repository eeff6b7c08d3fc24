"""Steps timed in turn, and the most memory that one of them holds."""

import ctypes
import gc
import json
import math
import os
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch.profiler import ProfilerActivity, profile
from tqdm import tqdm

os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # the profiler would report each start and stop

#: Called with the number of the round.
Step = Callable[[int], object]


class Race(NamedTuple):
    """What came of steps that were timed in turn.

    Attributes:
        seconds: By name, a number for each round; who is slow has fewer, always the first ones.
        problems: Why the others could not be timed.
    """

    seconds: dict[str, list[float]]
    problems: dict[str, str]


def clock(device: torch.device) -> Callable[[], float]:
    """Seconds, read when the device has done all it was given."""

    def now() -> float:
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return time.perf_counter()

    return now


def race(
    steps: Mapping[str, Step],
    *,
    rounds: int,
    budget: float = math.inf,
    warmup: int = 1,
    now: Callable[[], float] = time.perf_counter,
    tell: Callable[[int], object] = lambda _: None,
) -> Race:
    """Time steps in turn, so that whatever slows the machine for a while slows them all.

    Args:
        steps: By name. Their order is drawn anew in every round, always with the same seed.
        rounds: Most rounds of each.
        budget: Seconds that a step may take in all rounds together; it has one round at least.
        warmup: Unrecorded calls beforehand. A step that raises in them is left out.
        now: The clock.
        tell: Called with the number of rounds done.
    """
    problems: dict[str, str] = {}
    for name, step in steps.items():
        try:
            for _ in range(warmup):
                step(0)
        except Exception as error:  # noqa: BLE001 - whatever a contestant dies of is its result
            lines = str(error).strip().splitlines()
            problems[name] = f"{type(error).__name__}: {lines[0] if lines else 'no message'}"[:200]
    names = [name for name in steps if name not in problems]
    seconds: dict[str, list[float]] = {name: [] for name in names}
    order = np.random.default_rng(0)
    for turn in tqdm(range(rounds), "rounds", disable=None, leave=False):
        for place in order.permutation(len(names)):
            taken = seconds[names[place]]
            if taken and sum(taken) + taken[-1] > budget:
                continue
            start = now()
            steps[names[place]](turn)
            taken.append(now() - start)
        tell(turn + 1)
    return Race(seconds, problems)


def peak_bytes(step: Callable[[], object], device: torch.device | None = None) -> int:
    """Most memory that a step's tensors hold at once beyond what there was before.

    On a CPU torch's profiler counts; what a kernel in C takes by ``malloc`` is not seen, see
    :func:`peak_resident`.
    """
    if device is not None and device.type == "cuda":
        torch.cuda.synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        step()
        torch.cuda.synchronize(device)
        return torch.cuda.max_memory_allocated(device) - before
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        step()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "trace.json"
        profiler.export_chrome_trace(str(path))
        events = json.loads(path.read_text(encoding="utf-8"))["traceEvents"]
    changes = sorted(
        ((event["ts"], event["args"]["Bytes"]) for event in events if event["name"] == "[memory]"),
        key=lambda change: change[0],
    )
    held = peak = 0
    for _, change in changes:
        held += change
        peak = max(peak, held)
    return int(peak)


def _resident(key: str) -> int:
    """``VmRSS`` or ``VmHWM`` of this process in bytes."""
    for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
        if line.startswith(f"{key}:"):
            return int(line.split()[1]) * 1024
    raise OSError(f"/proc/self/status lacks {key}")


def peak_resident(step: Callable[[], object]) -> int | None:
    """Most memory that the process holds during a step beyond what it held before.

    The system counts the pages in use, so ``malloc`` in C counts too; meant for steps of many
    megabytes, because allocators keep small pieces. Linux only.

    Returns:
        Bytes, ``None`` where the system does not tell.
    """
    gc.collect()
    try:
        ctypes.CDLL(None).malloc_trim(0)
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # peak = what is held now
        before = _resident("VmRSS")
    except (OSError, AttributeError):
        return None
    step()
    return max(_resident("VmHWM") - before, 0)
