"""The process of a run, as the local launcher starts it."""

import contextlib
import logging
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from reproduce.errors import UserError
from reproduce.evaluations import training_config
from reproduce.runs.devices import devices_of
from reproduce.runs.job import Job, write_job
from reproduce.runs.lock import Lock
from reproduce.runs.orphan import PARENT, TOKEN
from reproduce.runs.progress import NAME, START, Progress, read_progress

#: Threads of each run on a CPU: as many runs as cores, each on one, is fastest for small networks
#: and makes results independent of the number of cores.
THREADS = 1

#: Variables by which Lightning would take a driver inside a Slurm job for one of its tasks.
SLURM_TASK = ("SLURM_NTASKS", "SLURM_PROCID", "SLURM_LOCALID", "SLURM_NTASKS_PER_NODE")


def server() -> multiprocessing.context.ForkServerContext:
    """A server that has torch and lightning loaded already and forks runs."""
    os.environ["OMP_NUM_THREADS"] = str(THREADS)
    for name in SLURM_TASK:
        os.environ.pop(name, None)
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["reproduce.runs.execute"])
    return context


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


def check_configs(jobs: Sequence[Job], context: multiprocessing.context.ForkServerContext) -> None:
    """Parse one configuration per experiment.

    Raises:
        UserError: If one does not fit its classes.
    """
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


@dataclass
class Running:
    """A run that this driver started.

    Attributes:
        job: The run.
        lock: Its lock, which the process adopts.
        devices: GPUs it may use.
        started: When.
        poll: Exit status, or ``None`` while it goes.
        kill: Ends it.
        first: Step from which it goes on.
        progress: How far it is known to be.
    """

    job: Job
    lock: Lock
    devices: Sequence[str]
    started: float
    poll: Callable[[], int | None]
    kill: Callable[[], None]
    first: int = 0
    progress: Progress = START

    def look(self) -> None:
        """Read how far the run has come."""
        self.progress = read_progress(self.job.folder) or self.progress


def _enter(folder: Path, variables: dict[str, str]) -> None:
    """Body of a forked run."""
    os.environ.update(variables)
    # What a run starts, above all data loaders, starts as usual, not from a server of its own
    # that would load torch for each of them.
    multiprocessing.set_start_method(None, force=True)
    from reproduce.runs.execute import run

    sys.exit(run(folder))


def start(
    job: Job,
    lock: Lock,
    *,
    wandb: str,
    wandb_checkpoints: bool = False,
    at_once: int,
    devices: Sequence[str],
    context: multiprocessing.context.ForkServerContext,
) -> Running:
    """Prepare the folder of a run whose lock is held, and execute it in a process of its own.

    Runs on several devices are plain subprocesses, because Lightning starts more from them.

    Args:
        job: The run.
        lock: Its lock.
        wandb: ``online``, ``offline`` or ``off``.
        wandb_checkpoints: Whether checkpoints are mirrored too.
        at_once: Runs side by side, among which the cores are shared.
        devices: GPUs it may use; empty: what the driver sees.
        context: From :func:`server`.
    """
    cores = os.cpu_count() or 1
    alone = job.kind == "timing" or devices_of(job) > 1
    threads = max(cores // devices_of(job), 1) if alone else THREADS
    # Two workers at least: the last evaluations of a table have the machine to themselves.
    workers = min(max(cores // (1 if alone else at_once), 2), cores)
    mirror: dict[str, Any] = {"wandb": wandb, "wandb_checkpoints": wandb_checkpoints}
    write_job(job, threads=threads, workers=workers, **mirror)
    (job.folder / NAME).unlink(missing_ok=True)
    first = max((int(p.stem[5:]) for p in job.folder.glob("step-*.ckpt")), default=0)
    variables = {TOKEN: lock.token}
    if devices:
        variables["CUDA_VISIBLE_DEVICES"] = ",".join(devices)
    now = time.monotonic()
    if devices_of(job) == 1:
        process = context.Process(target=_enter, args=(job.folder, variables))
        process.start()
        return Running(job, lock, devices, now, lambda: process.exitcode, process.kill, first)
    popen = subprocess.Popen(
        [sys.executable, "-m", "reproduce.runs.execute", str(job.folder)],
        start_new_session=True,
        env={**os.environ, **variables, PARENT: str(os.getpid())},
    )

    def kill() -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(popen.pid, signal.SIGKILL)

    return Running(job, lock, devices, now, popen.poll, kill, first)


def how_it_ended(code: int) -> str:
    """Why a process left no record, from its exit status."""
    number = -code if code < 0 else code - 128
    known = number in signal.valid_signals()
    how = f"killed by {signal.Signals(number).name}" if known else f"exit status {code}"
    hint = ", perhaps for want of memory" if code == -signal.SIGKILL else ""
    return f"the process was ended from outside: {how}{hint}"
