"""The local launcher: runs missing jobs side by side and shows how far they are.

Single-device runs are processes forked from a server that has torch and lightning loaded already;
a run that crashes takes no other with it. Runs on several devices are plain subprocesses, because
Lightning starts more processes from them.
"""

import contextlib
import logging
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from tqdm import tqdm

from reproduce.errors import UserError
from reproduce.evaluations import training_config
from reproduce.runs.job import Job, write_job
from reproduce.runs.record import summary, write_record

#: Threads of each run on a CPU: as many runs as cores, each on one, is fastest for small networks
#: and makes results independent of the number of cores.
THREADS = 1


def _enter(folder: Path) -> None:
    """Body of a forked run."""
    from reproduce.runs.execute import main

    sys.exit(main(folder))


def _check(configs: list[dict[str, Any]], answer: Connection) -> None:
    """Body of a forked process that parses configurations; answers with the first mistake."""
    from reproduce.lightning_cli import check_config  # loaded in the fork server

    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
    try:
        for config in configs:
            check_config(config)
    except UserError as error:
        answer.send(str(error))
    else:
        answer.send("")


@dataclass
class _Running:
    job: Job
    started: float
    poll: Callable[[], int | None]
    kill: Callable[[], None]
    step: int = 0

    def read_step(self) -> int:
        """Step the run has come to."""
        with contextlib.suppress(OSError, ValueError):
            self.step = int((self.job.folder / "progress").read_text())
        return min(self.step, self.job.steps)


def _devices(job: Job) -> int:
    devices = job.config["trainer"].get("devices", 1)
    return devices if isinstance(devices, int) and job.kind == "training" else 1


def _start(
    job: Job, wandb: str, at_once: int, context: multiprocessing.context.ForkServerContext
) -> _Running:
    cores = os.cpu_count() or 1
    alone = job.kind == "timing" or _devices(job) > 1
    threads = max(cores // _devices(job), 1) if alone else THREADS
    # Two workers at least: the last evaluations of a table have the machine to themselves.
    workers = min(max(cores // (1 if alone else at_once), 2), cores)
    write_job(job, threads=threads, wandb=wandb, workers=workers)
    (job.folder / "progress").unlink(missing_ok=True)
    if _devices(job) == 1:
        process = context.Process(target=_enter, args=(job.folder,))
        process.start()
        return _Running(job, time.monotonic(), lambda: process.exitcode, process.kill)
    popen = subprocess.Popen(
        [sys.executable, "-m", "reproduce.runs.execute", str(job.folder)], start_new_session=True
    )
    return _Running(job, time.monotonic(), popen.poll, lambda: os.killpg(popen.pid, signal.SIGKILL))


def _note_failure(job: Job, error: str, wandb: str) -> None:
    """Leave a record for a run that has none and cannot write it."""
    from reproduce.runs.execute import base_record

    described = write_job(job, threads=THREADS, wandb=wandb)
    write_record(
        job.folder / "record.json", {**base_record(described), "state": "failed", "error": error}
    )


def _how_it_ended(code: int) -> str:
    how = f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit status {code}"
    hint = ", perhaps for want of memory" if code == -signal.SIGKILL else ""
    return f"the process was ended from outside: {how}{hint}"


@dataclass
class Launcher:
    """Runs jobs and reports.

    Attributes:
        jobs_at_once: Runs side by side.
        wandb: ``online``, ``offline`` or ``off``.
        say: Prints a line.
    """

    jobs_at_once: int
    wandb: str
    say: Callable[[str], None] = field(default=tqdm.write)

    def run(self, jobs: Sequence[Job]) -> int:
        """Execute jobs; a failure stops no other but those that need the run.

        Args:
            jobs: With those they need before them, unless these are completed.

        Returns:
            How many failed.

        Raises:
            UserError: Before anything runs, if a configuration does not fit its classes.
        """
        os.environ["OMP_NUM_THREADS"] = str(THREADS)
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["reproduce.runs.execute"])
        self._check_configs(jobs, context)
        waiting, running = list(jobs), list[_Running]()
        done_steps, failed, begun = 0, 0, time.monotonic()
        total = sum(job.steps for job in jobs)
        bar = tqdm(total=total, unit="step", disable=not sys.stderr.isatty(), dynamic_ncols=True)
        try:
            while waiting or running:
                while job := self._next(waiting, running):
                    waiting.remove(job)
                    running.append(_start(job, self.wandb, self.jobs_at_once, context))
                time.sleep(0.2)
                finished = [item for item in running if item.poll() is not None]
                for item in finished:
                    running.remove(item)
                    failed += self._finish(item)
                    done_steps += item.job.steps
                    self._report(item, done_steps / total, time.monotonic() - begun)
                if finished or not running:
                    hopeless = self._hopeless(waiting, running)
                    failed += len(hopeless)
                    done_steps += sum(job.steps for job in hopeless)
                now = done_steps + sum(item.read_step() for item in running)
                bar.set_description(f"{len(jobs) - len(waiting) - len(running)}/{len(jobs)} runs")
                bar.update(now - bar.n)
        finally:
            for item in running:
                item.kill()
            bar.close()
        return failed

    def _next(self, waiting: Sequence[Job], running: Sequence[_Running]) -> Job | None:
        """The first job that may start now: what it needs is there; a timing run goes alone."""
        if any(item.job.kind == "timing" for item in running):
            return None
        if len(running) >= self.jobs_at_once:
            return None
        ready = [
            job
            for job in waiting
            if all(need.look_up().state == "completed" for need in job.needs.values())
        ]
        together = [job for job in ready if job.kind != "timing"]
        return next(iter(together), None) or (None if running else next(iter(ready), None))

    def _hopeless(self, waiting: list[Job], running: Sequence[_Running]) -> list[Job]:
        """Take out and record the jobs whose needs are neither completed nor still to come."""
        coming = {job.id for job in waiting} | {item.job.id for item in running}
        found = []
        for job in list(waiting):
            lost = [
                need
                for need in job.needs.values()
                if need.id not in coming and need.look_up().state != "completed"
            ]
            if lost:
                state = lost[0].look_up().state
                error = f"it needs run {lost[0].id} ({lost[0].experiment}), which is {state}"
                _note_failure(job, error, self.wandb)
                self.say(f"{job.experiment} seed {job.seed}: FAILED, {error}")
                waiting.remove(job)
                found.append(job)
        return found

    def _check_configs(
        self, jobs: Sequence[Job], context: multiprocessing.context.ForkServerContext
    ) -> None:
        """Parse one configuration per experiment."""
        configs = {job.experiment: training_config(job.config) for job in jobs}
        here, there = context.Pipe(duplex=False)
        process = context.Process(target=_check, args=(list(configs.values()), there))
        process.start()
        there.close()
        try:
            mistake = here.recv()
        except EOFError:
            mistake = ""  # it crashed: the runs will say why
        process.join()
        if mistake:
            raise UserError(mistake)

    def _finish(self, item: _Running) -> bool:
        """Whether the run failed; makes sure that it has a record."""
        code = item.poll() or 0
        if not (item.job.folder / "record.json").exists():
            _note_failure(item.job, _how_it_ended(code), self.wandb)
        return item.job.look_up().state != "completed"

    def _report(self, item: _Running, fraction: float, seconds: float) -> None:
        run = item.job.look_up()
        left = seconds / fraction - seconds
        what = "" if item.job.kind == "training" else f" {item.job.kind}"
        name = f"{item.job.experiment} seed {item.job.seed}{what}"
        took = f"{time.monotonic() - item.started:.0f} s"
        if run.record is not None and run.state == "completed":
            text = f"{name}: {summary(run.record)} ({took})"
        else:
            text = f"{name}: FAILED, {run.problem} (log: {item.job.folder / 'log.txt'})"
        self.say(f"[{fraction:4.0%}, about {left / 60:.1f} min left] {text}")
