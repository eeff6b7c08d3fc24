"""Timing in turn and counting of memory."""

import ctypes

import pytest
import torch

from reproduce.bench.measure import Step, peak_bytes, peak_resident, race


class Clock:
    """Time that passes only while a step runs."""

    def __init__(self) -> None:
        self.time = 0.0
        self.calls: list[tuple[str, int]] = []

    def step(self, name: str, seconds: float) -> Step:
        def run(turn: int) -> None:
            self.calls.append((name, turn))
            self.time += seconds

        return run

    def now(self) -> float:
        return self.time


def test_steps_take_turns() -> None:
    clock = Clock()
    steps = {name: clock.step(name, s) for name, s in (("a", 1.0), ("b", 2.0), ("c", 4.0))}
    told: list[int] = []
    found = race(steps, rounds=8, warmup=2, now=clock.now, tell=told.append)
    assert found.seconds == {"a": [1.0] * 8, "b": [2.0] * 8, "c": [4.0] * 8}
    assert found.problems == {}
    assert told == list(range(1, 9))
    assert clock.calls[:6] == [(name, 0) for name in "aabbcc"]
    rounds = [clock.calls[6 + 3 * i : 9 + 3 * i] for i in range(8)]
    assert all(sorted(calls) == [(name, i) for name in "abc"] for i, calls in enumerate(rounds))
    assert len({tuple(name for name, _ in calls) for calls in rounds}) > 1


def test_slow_steps_have_fewer_rounds() -> None:
    clock = Clock()
    steps = {"fast": clock.step("fast", 0.1), "slow": clock.step("slow", 3.0)}
    endless = {"endless": clock.step("endless", 50.0)}
    found = race({**steps, **endless}, rounds=6, budget=10.0, now=clock.now)
    assert {name: len(values) for name, values in found.seconds.items()} == {
        "fast": 6,
        "slow": 3,
        "endless": 1,
    }


def test_who_fails_is_left_out() -> None:
    def fail(_: int) -> None:
        raise RuntimeError("no compiler\nand a long story")

    found = race({"good": lambda _: None, "bad": fail}, rounds=2)
    assert list(found.seconds) == ["good"]
    assert found.problems == {"bad": "RuntimeError: no compiler"}


def test_peak_of_tensors() -> None:
    def two_then_one() -> None:
        first = torch.ones(1000, dtype=torch.float64)
        second = first + 1
        del first, second
        torch.ones(1500, dtype=torch.float64)

    assert 16000 <= peak_bytes(two_then_one) < 16100


def test_peak_of_the_process_counts_malloc() -> None:
    size = 64 * 2**20
    libc = ctypes.CDLL(None)
    libc.malloc.restype = ctypes.c_void_p
    libc.malloc.argtypes = [ctypes.c_size_t]
    libc.free.argtypes = [ctypes.c_void_p]

    def in_c() -> None:
        block = libc.malloc(size)
        ctypes.memset(block, 1, size)
        libc.free(block)

    found = peak_resident(in_c)
    if found is None:
        pytest.skip("the system does not count a process's peak")
    assert found == pytest.approx(size, rel=0.1)  # the system counts coarsely
    assert peak_bytes(in_c) == 0
    assert peak_resident(lambda: torch.ones(size // 4)) == pytest.approx(size, rel=0.1)
    assert (peak_resident(lambda: None) or 0) < size / 10
