"""What watches over a run from inside: it keeps the lock alive and ends a run nobody waits for."""

import contextlib
import multiprocessing
import os
import threading
import time
from collections.abc import Callable
from types import TracebackType

from reproduce.runs.lock import Lock

#: Variables by which a driver tells the process it starts about itself and the lock it took.
PARENT, TOKEN = "REPRODUCE_PARENT", "REPRODUCE_LOCK"

#: Seconds between two heartbeats, and between two looks at the parent.
BEAT, LOOK = 5.0, 1.0

#: Exit status of a run that ended itself; it goes on from its checkpoint at the next call.
ABANDONED = 76


def parent_gone() -> Callable[[], bool]:
    """A function that tells whether the driver of this process is gone.

    The parent of a forked run is the fork server, which ends with the driver.
    """
    first = int(os.environ.pop(PARENT, os.getppid()))
    driver = multiprocessing.parent_process()
    return lambda: os.getppid() != first or (driver is not None and not driver.is_alive())


class Watch:
    """A thread beside a run.

    Args:
        lock: The run's lock; ``None`` in processes that another one holds it for.
        gone: Whether the run should end, ``None`` if nobody needs to wait for it.
        end: Ends the process.
    """

    def __init__(
        self,
        lock: Lock | None,
        gone: Callable[[], bool] | None,
        end: Callable[[int], object] = os._exit,
    ) -> None:
        self.lock = lock
        self.gone = gone
        self.end = end
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True, name="watch")

    def __enter__(self) -> "Watch":
        """Start it."""
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop it and give the lock back."""
        self._stop.set()
        self._thread.join()
        if self.lock is not None:
            self.lock.release()

    def _run(self) -> None:
        beaten = time.monotonic()
        while not self._stop.wait(LOOK):
            if self.gone is not None and self.gone():
                self._abandon("the driver is gone: this run ends and goes on at the next call")
                return
            if self.lock is not None and time.monotonic() - beaten >= BEAT:
                beaten = time.monotonic()
                try:
                    kept = self.lock.beat()
                except OSError:
                    continue  # the file system may come back
                if not kept:
                    self._abandon("another driver took this run over, or its lock was removed")
                    return

    def _abandon(self, why: str) -> None:
        with contextlib.suppress(OSError):  # whoever reads it may be gone as well
            os.write(1, f"ended: {why}\n".encode())
        with contextlib.suppress(OSError):
            if self.lock is not None:
                self.lock.release()
        self.end(ABANDONED)
