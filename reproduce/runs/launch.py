"""The local launcher: runs missing jobs side by side and shows how far they are.

Each run is a process of its own, so that one which crashes takes no other with it. A run that
another driver executes is waited for; if that driver's process dies, it is taken over here.
"""

import contextlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from multiprocessing.context import ForkServerContext

from tqdm import tqdm

from reproduce.errors import UserError
from reproduce.runs.devices import choose_devices
from reproduce.runs.display import Display, Going, Status, duration
from reproduce.runs.failure import explain, told_failure
from reproduce.runs.job import Job, write_job
from reproduce.runs.lock import adopt, owner, take
from reproduce.runs.orphan import ABANDONED, BEAT
from reproduce.runs.pace import Seen, seconds_left
from reproduce.runs.process import THREADS, Running, check_configs, how_it_ended, server, start
from reproduce.runs.record import summary, write_record
from reproduce.runs.signals import sigterm_interrupts

#: Exit statuses of a process that left its run to another.
ELSEWHERE = (75, ABANDONED)

#: Seconds between two looks at the runs of other drivers.
PAUSE = 1.0


def note_failure(job: Job, error: str, wandb: str) -> None:
    """Leave a record for a run that has none and cannot write it; on a full disk there is none."""
    from reproduce.runs.execute import base_record

    with contextlib.suppress(OSError):
        described = write_job(job, threads=THREADS, wandb=wandb)
        record = {**base_record(described), "state": "failed", "error": error}
        write_record(job.folder / "record.json", record)


def check_one_machine(jobs: Sequence[Job]) -> None:
    """Refuse runs that would wait for processes on other machines.

    Raises:
        UserError: If one has several nodes.
    """
    nodes = max((job.config["trainer"].get("num_nodes", 1) for job in jobs), default=1)
    if nodes > 1:
        raise UserError(f"--trainer.num_nodes={nodes} needs a cluster: give LAUNCHER=slurm")


def _title(job: Job) -> str:
    what = "" if job.kind == "training" else f" {job.kind}"
    return f"{job.experiment} seed {job.seed}{what}"


def _seen(item: Running, now: float, *, ended: bool = False) -> Seen:
    """What was seen of a run's pace."""
    step = item.job.steps if ended else min(item.progress.step, item.job.steps)
    return Seen(item.job, step - item.first, now - item.started, item.job.steps - step)


@dataclass
class Launcher:
    """Runs jobs and reports.

    Attributes:
        jobs_at_once: Runs side by side.
        wandb: ``online``, ``offline`` or ``off``.
        devices: GPUs; each takes one run that wants any.
        share: Runs on one GPU.
        wandb_checkpoints: Whether checkpoints are mirrored too.
        say: Prints a line.
    """

    jobs_at_once: int
    wandb: str
    devices: Sequence[str] = ()
    share: int = 1
    wandb_checkpoints: bool = False
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
        check_one_machine(jobs)
        context = server()
        check_configs(jobs, context)
        session = _Session(self, context, list(jobs))
        with sigterm_interrupts():
            try:
                while session.waiting or session.running or session.elsewhere:
                    session.turn()
                    time.sleep(0.2)
            finally:
                session.stop()
        return session.failed


class _Session:
    """The runs of one call.

    Attributes:
        waiting: Not begun.
        running: Begun by this driver.
        elsewhere: Executed by other drivers.
        failed: How many failed.
    """

    def __init__(self, launcher: Launcher, context: ForkServerContext, jobs: list[Job]) -> None:
        self.launcher = launcher
        self.context = context
        self.waiting = jobs
        self.running: list[Running] = []
        self.elsewhere: list[Job] = []
        self.failed = 0
        self._told: dict[str, str] = {}
        self._count, self._settled = len(jobs), 0
        self._seen: list[Seen] = []
        self._begun = self._beaten = self._looked = time.monotonic()
        self._display = Display(min(launcher.jobs_at_once, len(jobs)))

    def turn(self) -> None:
        """Start what may start, collect what ended, look at other drivers' runs."""
        while (found := self._next()) is not None:
            self.waiting.remove(found[0])
            self._start(*found)
        before = self._settled
        for item in [item for item in self.running if item.poll() is not None]:
            self.running.remove(item)
            self._collect(item)
        now = time.monotonic()
        if now - self._looked >= PAUSE:
            self._looked = now
            self._look_elsewhere()
        if now - self._beaten >= BEAT:  # until the processes, which load first, do it themselves
            self._beaten = now
            for item in self.running:
                with contextlib.suppress(OSError):
                    item.lock.beat()
        if self._settled > before or not self.running:
            self._give_up_hopeless()
        self._display.show(self._status())

    def stop(self) -> None:
        """End what still runs; it goes on at the next call."""
        for item in self.running:
            item.kill()
        deadline = time.monotonic() + 5
        while any(i.poll() is None for i in self.running) and time.monotonic() < deadline:
            time.sleep(0.02)
        for item in self.running:
            with contextlib.suppress(OSError):
                item.lock.release()
        self._display.close()

    def _status(self) -> Status:
        for item in self.running:
            item.look()
        now = time.monotonic()
        going = [Going(_title(i.job), i.job.steps, i.progress) for i in self.running]
        left = seconds_left(
            self._seen,
            [_seen(item, now) for item in self.running],
            [*self.waiting, *self.elsewhere],
            self.launcher.jobs_at_once,
        )
        return Status(
            self._count,
            done=self._settled - self.failed,
            failed=self.failed,
            elsewhere=len(self.elsewhere),
            going=going,
            seconds=now - self._begun,
            left=left,
        )

    def _next(self) -> tuple[Job, list[str]] | None:
        """A job that may start now, with its GPUs; a timing run goes alone."""
        timing = any(item.job.kind == "timing" for item in self.running)
        if timing or len(self.running) >= self.launcher.jobs_at_once:
            return None
        taken = [name for item in self.running for name in item.devices]
        for alone in (False, True):
            if alone and self.running:
                break
            for job in self.waiting:
                if (job.kind == "timing") is not alone or not self._ready(job):
                    continue
                devices = choose_devices(job, self.launcher.devices, taken, self.launcher.share)
                if devices is not None:
                    return job, devices
        return None

    @staticmethod
    def _ready(job: Job) -> bool:
        return all(need.look_up().state == "completed" for need in job.needs.values())

    def _start(self, job: Job, devices: list[str]) -> None:
        lock = None
        try:
            if (lock := take(job.folder)) is None:
                self._wait_for(job)
                return
            if job.look_up().state == "completed":
                lock.release()
                self._settle(job, "done by another driver meanwhile")
                return
            item = start(
                job,
                lock,
                wandb=self.launcher.wandb,
                wandb_checkpoints=self.launcher.wandb_checkpoints,
                at_once=self.launcher.jobs_at_once,
                devices=devices,
                context=self.context,
            )
        except OSError as error:
            if lock is not None:
                lock.release()
            self._fail(job, explain(error))
        else:
            self.running.append(item)

    def _wait_for(self, job: Job) -> None:
        self.elsewhere.append(job)
        held = owner(job.folder)
        where = f"host {held.host}" if held is not None else "another process"
        if self._told.get(job.id) != where:
            self._told[job.id] = where
            self.launcher.say(f"waiting for run {job.id} ({_title(job)}) on {where}")

    def _look_elsewhere(self) -> None:
        for job in list(self.elsewhere):
            run = job.look_up()
            if run.state == "running":
                continue
            self.elsewhere.remove(job)
            if run.state == "completed" and run.record is not None:
                self._settle(job, f"{summary(run.record)} (by another driver)")
            elif run.state in ("failed", "unreadable"):
                self._fail(job, run.problem)
            else:  # its process is gone
                self.waiting.insert(0, job)

    def _collect(self, item: Running) -> None:
        """Take note of a run that ended; makes sure that it has a record."""
        code = item.poll() or 0
        job = item.job
        if code in ELSEWHERE:
            self._wait_for(job)
            return
        with contextlib.suppress(OSError):
            if not (job.folder / "record.json").exists():
                # It was killed, and its lock is there for anyone: this driver's again, or lost.
                if adopt(job.folder, item.lock.token) is None and owner(job.folder) is not None:
                    self._wait_for(job)
                    return
                why = told_failure(job.folder) or how_it_ended(code)
                note_failure(job, why, self.launcher.wandb)
            item.lock.release()
        run = job.look_up()
        now = time.monotonic()
        took = f"({now - item.started:.0f} s)"
        if run.record is not None and run.state == "completed":
            self._seen.append(_seen(item, now, ended=True))
            self._settle(job, f"{summary(run.record)} {took}")
        else:
            self._fail(job, run.problem or f"{how_it_ended(code)}, and no record could be written")

    def _fail(self, job: Job, why: str) -> None:
        self.failed += 1
        self._settle(job, f"FAILED, {why} (log: {job.folder / 'log.txt'})")

    def _settle(self, job: Job, text: str) -> None:
        self._settled += 1
        status = self._status()
        left = "" if status.left is None else f", about {duration(status.left)} left"
        self.launcher.say(f"[{self._settled}/{self._count}{left}] {_title(job)}: {text}")

    def _give_up_hopeless(self) -> None:
        """Take out and record the jobs whose needs are neither completed nor still to come."""
        coming = {job.id for job in (*self.waiting, *self.elsewhere)}
        coming |= {item.job.id for item in self.running}
        for job in list(self.waiting):
            lost = [
                need
                for need in job.needs.values()
                if need.id not in coming and need.look_up().state != "completed"
            ]
            if lost:
                self.waiting.remove(job)
                coming.discard(job.id)
                state = lost[0].look_up().state
                error = f"it needs run {lost[0].id} ({lost[0].experiment}), which is {state}"
                if (lock := take(job.folder)) is not None:
                    note_failure(job, error, self.launcher.wandb)
                    lock.release()
                self._fail(job, error)
