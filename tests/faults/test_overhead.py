"""What locks, heartbeat and checkpoints add to a demo run that nobody disturbs: at most 3 %.

It takes minutes, so it is measured on demand: ``REPRODUCE_OVERHEAD=7 pytest -n 0 -s
tests/faults/test_overhead.py`` does seven pairs. Processor time is compared, not time on the wall:
other processes do not count.
"""

import multiprocessing
import os
import statistics
import time
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from reproduce.experiments import read_table
from reproduce.runs.checkpoints import Checkpoints
from reproduce.runs.execute import base_record, execute, main
from reproduce.runs.job import write_job
from reproduce.runs.plan import plan
from reproduce.runs.record import write_record
from tests.faults.place import fresh_server

PAIRS = int(os.environ.get("REPRODUCE_OVERHEAD", "0"))

#: The most that all of it may add.
LIMIT = 0.03


def _bare(folder: Path, job: dict[str, object]) -> None:
    """A run without lock, heartbeat and checkpoints under way."""
    Checkpoints.on_train_batch_end = lambda *_: None  # type: ignore[method-assign]
    with (folder / "log.txt").open("ab") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    write_record(folder / "record.json", {**base_record(job), **execute(folder)})


def _measure(folder: Path, job: dict[str, object], guarded: bool, answer: Connection) -> None:
    """Body of a forked run: its seconds of processor time, all threads together."""
    begun = time.process_time()
    if guarded:
        main(folder)
    else:
        _bare(folder, job)
    answer.send(time.process_time() - begun)


@pytest.mark.skipif(not PAIRS, reason="takes minutes: REPRODUCE_OVERHEAD=7 measures it")
def test_overhead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REPRODUCE_CHECKPOINT_SECONDS", raising=False)
    fresh_server()
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["reproduce.runs.execute"])
    ratios = []
    for number in range(PAIRS):
        seconds = {}
        for guarded in (number % 2 == 0, number % 2 == 1):  # each goes first in turn
            (job,) = plan(
                read_table("1"),
                scale="demo",
                seeds=1,
                runs=tmp_path / f"{number}-{guarded}",
                data=tmp_path / "shapes",
                only="fcn8s_resnet101/level_set",
            )
            described = write_job(job, threads=1, wandb="off")
            here, there = context.Pipe(duplex=False)
            process = context.Process(target=_measure, args=(job.folder, described, guarded, there))
            process.start()
            seconds[guarded] = here.recv()
            process.join()
            assert job.look_up().state == "completed"
        ratios.append(seconds[True] / seconds[False])
        print(f"with {seconds[True]:.2f} s, without {seconds[False]:.2f} s of processor time")
    median = statistics.median(ratios)
    print(f"ratio: median {median:.4f}, from {min(ratios):.4f} to {max(ratios):.4f}")
    assert median <= 1 + LIMIT
