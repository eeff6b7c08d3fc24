"""A worker process as its caller sees it: asked one task at a time, replaced when it dies."""

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
from multiprocessing.connection import Connection
from typing import NamedTuple

from reproduce.postprocess.worker import Answer

#: Processes that one image may take down before it is given up.
ATTEMPTS = 3


class CRFError(RuntimeError):
    """An image could not be refined; the message names its key and the error of the worker.

    Attributes:
        key: Key under which the image was submitted.
    """

    def __init__(self, key: object, answer: Answer) -> None:
        super().__init__(f"image {key!r}: {answer.error}")
        self.key = key
        if answer.trace:
            self.add_note(f"In the worker:\n{answer.trace}")


class ClosedError(Exception):
    """The worker was closed while it was asked."""


class _Process(NamedTuple):
    popen: subprocess.Popen[bytes]
    pipe: Connection

    def ask(self, task: bytes) -> Answer:
        """Have a task done; EOFError or ConnectionError if the process dies of it."""
        self.pipe.send_bytes(task)
        # Not recv alone: a copy of the pipe in a process forked meanwhile hides its end.
        while not self.pipe.poll(1):
            if self.popen.poll() is not None:
                raise EOFError
        answer: Answer = self.pipe.recv()
        return answer

    def bury(self) -> str:
        """End the process; says how it ended."""
        self.pipe.close()
        self.popen.kill()
        code = self.popen.wait()
        return f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit status {code}"


def _start() -> _Process:
    """A new interpreter, which finds the modules that this one finds."""
    here, there = multiprocessing.Pipe()
    program = f"from reproduce.postprocess.worker import main; main({there.fileno()})"
    paths = os.pathsep.join(sys.path)
    with there:
        popen = subprocess.Popen(
            [sys.executable, "-c", program],
            pass_fds=[there.fileno()],
            stdin=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"},
        )
    return _Process(popen, here)


class Worker:
    """Owner of one worker process, which starts with the first task.

    :meth:`ask` and :meth:`stop` belong to one thread, :meth:`close` may be called from any.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._closed = False
        self._process: _Process | None = None

    def ask(self, task: bytes) -> Answer:
        """Have a task done; if the process dies of whatever cause, by another one.

        Args:
            task: Pickled :class:`~reproduce.postprocess.worker.Task`.

        Returns:
            The answer; an error after :data:`ATTEMPTS` dead processes.

        Raises:
            ClosedError: If :meth:`close` was called.
        """
        if self._process and self._process.popen.poll() is not None:
            self.stop()  # it ended between tasks, which is not this one's fault
        how = ""
        for _ in range(ATTEMPTS):
            process = self._running()
            try:
                return process.ask(task)
            except (EOFError, ConnectionError):
                how = self.stop()
        return Answer(
            None,
            f"{ATTEMPTS} workers died of it ({how}), perhaps for want of memory: use fewer workers",
        )

    def _running(self) -> _Process:
        with self._lock:
            if self._closed:
                raise ClosedError
            if self._process is None:
                self._process = _start()
            return self._process

    def stop(self) -> str:
        """End the process if there is one; says how it ended."""
        with self._lock:
            process, self._process = self._process, None
        return process.bury() if process else ""

    def close(self) -> None:
        """Kill the process; no other is started."""
        with self._lock:
            self._closed = True
            if self._process:
                self._process.popen.kill()
