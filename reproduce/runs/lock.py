"""One process at a time executes a run: a lock in its folder, kept alive by a heartbeat.

``lock.json`` names the owner; its modification time is the heartbeat. An owner on this machine is
gone when its process is, one elsewhere when its heartbeat is older than :data:`STALE`. Heartbeat
and present are both read from the clock of the file system: the hosts' own clocks do not matter.

The file is looked at and changed only while a file ``.lock`` beside the runs' folders is held by
``flock``, which the kernel gives back when a process dies. Where a file system has no such locks,
new locks still come from one atomic link, and an owner whose lock was taken over notices at its
next heartbeat and ends itself.
"""

import contextlib
import fcntl
import json
import os
import socket
import time
import uuid
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

#: Seconds after which an owner on another machine that gives no sign of life counts as gone.
STALE = 60.0

NAME = "lock.json"


@dataclass(frozen=True)
class Owner:
    """Who holds a lock.

    Attributes:
        host: Name of its machine, for people.
        pid: Process.
        start: When that process started, in the kernel's ticks: numbers of processes come again.
        boot: Start of the machine and the space of process numbers that ``pid`` is one of.
        token: Random name of this hold.
        slurm: Number of its Slurm job, empty outside.
    """

    host: str = "an unknown host"
    pid: int = 0
    start: int = 0
    boot: str = ""
    token: str = ""
    slurm: str = ""


def process_start(pid: int) -> int | None:
    """When a process started; ``None`` if there is none, or one that only waits to be buried."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        pass  # it is another user's
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None if Path("/proc/self/stat").exists() else 0
    return None if fields[0] in "ZX" else int(fields[19])


@cache
def _boot() -> str:
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return socket.gethostname()


def _myself(token: str) -> Owner:
    start = process_start(os.getpid()) or 0
    job = os.environ.get("SLURM_JOB_ID", "")
    return Owner(socket.gethostname(), os.getpid(), start, _boot(), token, job)


@contextlib.contextmanager
def guard(path: Path) -> Iterator[None]:
    """Exclude every other process that guards by the same file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        with contextlib.suppress(OSError):  # a file system without locks
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _guard(folder: Path) -> Path:
    return folder.parent / ".lock"


def _read(folder: Path) -> tuple[Owner, float] | None:
    """What the lock says, and the time of its heartbeat."""
    try:
        # Opened, because network file systems ask the server then; stat may answer from memory.
        with (folder / NAME).open(encoding="utf-8") as file:
            beat = os.fstat(file.fileno()).st_mtime
            text = file.read()
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        return Owner(**json.loads(text)), beat
    except (ValueError, TypeError):
        return Owner(), beat  # cut short by a power cut


def _now(folder: Path) -> float:
    """The file system's time."""
    try:
        os.utime(_guard(folder))
        return _guard(folder).stat().st_mtime
    except OSError:
        return time.time()


def _alive(held: Owner, beat: float, folder: Path) -> bool:
    if held.boot == _boot():
        start = process_start(held.pid)
        return start is not None and start == held.start
    return _now(folder) - beat < STALE


def owner(folder: Path) -> Owner | None:
    """Who executes the run of a folder now, if anyone."""
    found = _read(folder)
    return found[0] if found is not None and _alive(*found, folder) else None


@dataclass(frozen=True)
class Lock:
    """A lock that this process, or one it started, holds.

    Attributes:
        folder: The run's folder.
        token: Name of the hold.
    """

    folder: Path
    token: str

    def held(self) -> bool:
        """Whether it is still this one's."""
        found = _read(self.folder)
        return found is not None and found[0].token == self.token

    def beat(self) -> bool:
        """Give a sign of life; false if someone else took the lock, or removed it.

        Raises:
            OSError: If the file system does not answer.
        """
        if not self.held():
            return False
        with contextlib.suppress(FileNotFoundError):
            os.utime(self.folder / NAME)  # without a time: the server's counts
        return True

    def release(self) -> None:
        """Give the lock back, if it is still this one's."""
        with guard(_guard(self.folder)):
            if self.held():
                (self.folder / NAME).unlink(missing_ok=True)


def _write(folder: Path, token: str, *, new: bool) -> bool:
    """Write the lock; a new one only where there is none."""
    folder.mkdir(parents=True, exist_ok=True)
    path, work = folder / NAME, folder / f".{NAME}.{token}"
    try:
        work.write_text(json.dumps(asdict(_myself(token))), encoding="utf-8")
        if not new:
            work.replace(path)
            return True
        try:
            path.hardlink_to(work)
        except FileExistsError:
            return work.stat().st_nlink == 2  # a network file system that answered twice
        except OSError:
            work.replace(path)  # no hard links here
        return True
    finally:
        work.unlink(missing_ok=True)


def take(folder: Path) -> Lock | None:
    """Take the lock of a run's folder, or take it over from an owner that is gone.

    Args:
        folder: The run's folder; it is made.

    Returns:
        The lock, or ``None`` if another process holds it.

    Raises:
        OSError: If the folder cannot be written.
    """
    token = uuid.uuid4().hex
    with guard(_guard(folder)):
        found = _read(folder)
        if found is not None:
            job = os.environ.get("SLURM_JOB_ID")
            # Slurm starts a job again only after it ended it, whatever the heartbeat says.
            again = job and found[0].slurm == job and found[0].boot != _boot()
            if not again and _alive(*found, folder):
                return None
        lock = Lock(folder, token)
        return lock if _write(folder, token, new=found is None) and lock.held() else None


def adopt(folder: Path, token: str) -> Lock | None:
    """Make this process the owner of a lock that the process which started it took.

    Returns:
        The lock, or ``None`` if it was lost meanwhile.
    """
    lock = Lock(folder, token)
    with guard(_guard(folder)):
        return lock if lock.held() and _write(folder, token, new=False) else None
