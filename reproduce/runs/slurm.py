"""The Slurm launcher: submits missing runs as job arrays through submitit and returns.

A job executes its run as the local launcher would. When Slurm ends it early, for a job of higher
priority or at its time limit, it is queued again and goes on from the run's checkpoint. Evaluations
are jobs of their own that wait for the end of the trainings they need; what such a training left is
checked when they begin, so one that failed stops no other run's evaluation.
"""

import contextlib
import io
import math
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from reproduce.errors import UserError
from reproduce.evaluations import cost_key
from reproduce.runs.devices import devices_of
from reproduce.runs.job import Job, write_job
from reproduce.runs.lock import STALE, guard
from reproduce.runs.process import THREADS, check_configs, server
from reproduce.runs.queue import NAME, queued_job, set_queued

if TYPE_CHECKING:
    import submitit

    from reproduce.runs.estimate import Estimate

#: Longest time asked for, in minutes, also where none can be measured: a run that reaches its limit
#: is queued again.
DAY = 24 * 60

#: Times that a job may reach its limit.
TIMEOUTS = 50

#: Options of sbatch that are ours.
OURS = {
    "array",
    "dependency",
    "error",
    "ntasks",
    "open_mode",
    "output",
    "parsable",
    "signal",
    "wrap",
}

#: Variables of Slurm that say where it is.
CLUSTER = ("SLURM_CONF", "SLURM_CLUSTERS")

#: Options that submitit counts with.
NUMBERS = {"array_parallelism", "cpus_per_task", "nodes", "ntasks_per_node", "signal_delay_s"}

GIB = 2**30


class Resources(NamedTuple):
    """What a run asks Slurm for; runs that ask for the same share an array."""

    minutes: int
    gigabytes: int
    cpus: int
    tasks: int
    nodes: int
    gpus: int
    exclusive: bool


class Task:
    """What a job does; every task of it calls this.

    Args:
        folder: The run's folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self) -> str:
        """Execute the run.

        Raises:
            RuntimeError: If it failed, so that Slurm knows.
        """
        from reproduce.runs.execute import BUSY, main, rank

        deadline = time.monotonic() + STALE + 10
        while (status := main(self.folder)) == BUSY and time.monotonic() < deadline:
            time.sleep(5)  # a process that died on another host counts as alive for a while
        if rank() == 0:
            (self.folder / NAME).unlink(missing_ok=True)
        if status:
            raise RuntimeError(f"exit status {status}: see {self.folder / 'log.txt'}")
        return "completed"

    def checkpoint(self) -> "submitit.helpers.DelayedSubmission":
        """What submitit queues again when the job has to end early: the same."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self)


def minutes_of(text: str) -> int:
    """A time of sbatch, such as ``90``, ``1:30:00`` or ``1-12``, in minutes.

    Raises:
        UserError: If it is none.
    """
    days, dash, rest = text.rpartition("-")
    try:
        parts = [int(word) for word in rest.split(":")]
        if dash:
            hours, minutes, seconds = (*parts, 0, 0)[:3]
        elif len(parts) < 3:
            hours, minutes, seconds = 0, *(*parts, 0)[:2]
        else:
            hours, minutes, seconds = parts
        return max(math.ceil((int(days or 0) * 24 + hours) * 60 + minutes + seconds / 60), 1)
    except ValueError:
        raise UserError(
            f"--slurm.time={text}: expected minutes or [DAYS-]HOURS:MINUTES:SECONDS"
        ) from None


def resources_of(job: Job, cost: "Estimate | None") -> Resources:
    """What a run needs, with a margin: twice the time and 10 minutes, half again the memory.

    Args:
        job: The run.
        cost: Of a training step; ``None`` if it cannot be measured here.
    """
    trainer = job.config["trainer"]
    tasks, nodes = devices_of(job), int(trainer.get("num_nodes", 1))
    nodes = nodes if job.kind == "training" else 1
    data = job.config["data"]["init_args"]
    gpus = tasks if trainer.get("accelerator") in ("gpu", "cuda") else 0
    training = job.kind == "training"
    cpus = 1 + data["num_workers"] if training else 2
    minutes, gigabytes = DAY, (8 + 2 * cpus) * tasks
    if cost is not None:
        # An evaluation counts images: the network, and about two seconds of the CRF.
        unit = cost.step_seconds if training else cost.step_seconds / data["batch_size"] + 2
        minutes = min(10 * math.ceil((600 + 2 * unit * job.steps) / 600), DAY)
        gigabytes = math.ceil((2 if training else 4) * tasks + 1.5 * cost.memory / GIB)
    return Resources(minutes, gigabytes, cpus, tasks, nodes, gpus, job.kind == "timing")


def measured(jobs: Iterable[Job]) -> "dict[str, Estimate]":
    """Cost of a step by :func:`cost_key`; networks for a GPU are left out where there is none."""
    import torch

    from reproduce.runs.estimate import measure

    found: dict[str, Estimate] = {}
    threads = torch.get_num_threads()
    torch.set_num_threads(THREADS)
    for job in jobs:
        key, cpu = cost_key(job.config), job.config["trainer"].get("accelerator") == "cpu"
        if key not in found and (cpu or torch.cuda.is_available()):
            found[key] = measure(job.config)
    torch.set_num_threads(threads)
    return found


def parameters(
    wanted: Resources, options: Mapping[str, str | bool], after: Sequence[str]
) -> dict[str, Any]:
    """Options of sbatch as submitit takes them.

    Args:
        wanted: What the runs need.
        options: What the user gave; it goes before ours.
        after: Numbers of jobs that must have ended before.

    Raises:
        UserError: If an option is not the user's to give or contradicts the devices.
    """
    if bad := sorted(OURS & options.keys()):
        raise UserError(f"--slurm.{bad[0]} is set by the launcher: leave it away")
    for key, count in (("ntasks_per_node", wanted.tasks), ("nodes", wanted.nodes)):
        if key in options and options[key] != str(count):
            raise UserError(
                f"--slurm.{key}={options[key]}: these runs have {count}, by --trainer.devices and "
                "--trainer.num_nodes; Lightning would train on a part of the data otherwise"
            )
    for key in NUMBERS & options.keys():
        if not str(options[key]).isdecimal():
            raise UserError(f"--slurm.{key}={options[key]}: expected a number")
    numbers = {key: int(value) for key, value in options.items() if key in NUMBERS}
    others = {key: value for key, value in options.items() if key not in (*NUMBERS, "time")}
    cpus = numbers.get("cpus_per_task", wanted.cpus)
    return {
        "job_name": "reproduce",
        "time": minutes_of(str(options["time"])) if "time" in options else wanted.minutes,
        "mem": f"{wanted.gigabytes}G",
        "nodes": wanted.nodes,
        "ntasks_per_node": wanted.tasks,
        "cpus_per_task": cpus,
        "stderr_to_stdout": True,
        # srun does not take the number of cores over by itself, and would wait for dead tasks.
        "srun_args": [f"--cpus-per-task={cpus}", "--kill-on-bad-exit=1"],
        **numbers,
        **({"dependency": "afterany:" + ":".join(after)} if after else {}),
        "additional_parameters": {
            "requeue": True,
            **({"gpus_per_node": wanted.gpus} if wanted.gpus else {}),
            **({"exclusive": True} if wanted.exclusive else {}),
            **others,
        },
    }


@dataclass
class SlurmLauncher:
    """Submits jobs.

    Attributes:
        options: Of sbatch, as the user gave them.
        wandb: ``online``, ``offline`` or ``off``.
        wandb_checkpoints: Whether checkpoints are mirrored too.
        say: Prints a line.
    """

    options: Mapping[str, str | bool]
    wandb: str
    wandb_checkpoints: bool = False
    say: Callable[[str], None] = field(default=print)

    def run(self, jobs: Sequence[Job]) -> int:
        """Submit what neither runs nor waits in the queue.

        Args:
            jobs: With those they need before them, unless these are completed.

        Returns:
            How many cannot be submitted because a run they need failed.

        Raises:
            UserError: If Slurm is not there or refuses.
        """
        runs = jobs[0].folder.resolve().parent
        executor = self._executor(runs / ".slurm")
        with guard(runs / ".submit"):  # two drivers would both find that nothing is queued
            busy = [job for job in jobs if job.look_up().state in ("queued", "running")]
            known = {job.id for job in busy}
            new = [job for job in jobs if job.id not in known]
            levels = self._levels(new, busy)
            lost = [job for job in new if job.id not in levels]
            new = [job for job in new if job.id in levels]
            if new:
                self._submit(executor, new, levels)
        if busy:
            self.say(f"{len(busy)} runs are queued or running already")
        for job in lost:
            self.say(f"{job.experiment} seed {job.seed}: not submitted, a run it needs is missing")
        self.say("Give the same command again to collect them; reproduce runs list shows them.")
        return len(lost)

    def _levels(self, new: Sequence[Job], busy: Sequence[Job]) -> dict[str, int]:
        """How many waves come before a job; those that need a run nobody will make are left out."""
        levels = {job.id: 0 for job in busy if queued_job(job.folder) is not None}
        own: dict[str, int] = {}
        for job in new:
            open_needs = [n for n in job.needs.values() if n.look_up().state != "completed"]
            if all(need.id in levels or need.id in own for need in open_needs):
                own[job.id] = max((own.get(need.id, -1) + 1 for need in open_needs), default=0)
        return own

    def _submit(
        self, executor: "submitit.SlurmExecutor", jobs: Sequence[Job], levels: Mapping[str, int]
    ) -> None:
        check_configs(jobs, server())
        given = {"time", "mem"} <= self.options.keys()
        costs = {} if given else measured(jobs)
        if not given and any(cost_key(job.config) not in costs for job in jobs):
            self.say("no GPU here to measure on: runs ask for a day, unless --slurm.time= is given")
        wanted = {job.id: resources_of(job, costs.get(cost_key(job.config))) for job in jobs}

        def key(job: Job) -> tuple[int, Resources]:
            return levels[job.id], wanted[job.id]

        for (_, resources), group in groupby(sorted(jobs, key=key), key):
            array = list(group)
            needs = [need for job in array for need in job.needs.values()]
            open_needs = [need for need in needs if need.look_up().state != "completed"]
            waits = (queued_job(need.folder) for need in open_needs)
            after = sorted({number.split("_")[0] for number in waits if number is not None})
            chosen = parameters(resources, self.options, after)
            self._send(executor, array, chosen)
            what = f"{chosen['time']} min, {self.options.get('mem', chosen['mem'])}"
            number = (queued_job(array[0].folder) or "?").split("_")[0]
            behind = f", after {', '.join(after)}" if after else ""
            self.say(f"Slurm job {number}: {len(array)} runs, {what} each{behind}")

    def _send(
        self, executor: "submitit.SlurmExecutor", array: Sequence[Job], chosen: dict[str, Any]
    ) -> None:
        import submitit

        cpus = chosen["cpus_per_task"]
        mirror: dict[str, Any] = {"wandb": self.wandb, "wandb_checkpoints": self.wandb_checkpoints}
        for job in array:
            threads = THREADS if devices_of(job) == 1 else cpus
            write_job(job, threads=threads, workers=cpus, **mirror)
        where = {key: os.environ[key] for key in CLUSTER if key in os.environ}
        try:
            # Inside a job, its own variables would bind the new one.
            with submitit.helpers.clean_env(), contextlib.redirect_stderr(io.StringIO()):
                os.environ.update(where)
                executor.update_parameters(**chosen)
                with executor.batch():
                    sent = [executor.submit(Task(job.folder.resolve())) for job in array]
        except Exception as error:
            lines = [line for line in str(error).splitlines() if "sbatch: " in line]
            if not lines:
                raise
            raise UserError("; ".join(dict.fromkeys(lines))) from None
        for job, submitted in zip(array, sent, strict=True):
            set_queued(job.folder, submitted.job_id)

    def _executor(self, folder: Path) -> "submitit.SlurmExecutor":
        try:
            import submitit
        except ImportError:
            raise UserError(
                "--launcher slurm needs submitit: .venv/bin/pip install -e '.[slurm]'"
            ) from None
        try:
            return submitit.SlurmExecutor(folder, max_num_timeout=TIMEOUTS)
        except RuntimeError:
            raise UserError(
                "no srun found: give the command on a Slurm cluster's machine (or --launcher local)"
            ) from None
