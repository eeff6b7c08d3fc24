"""Why a run failed, in one line."""

import errno
import multiprocessing

import pytest

from reproduce.errors import UserError
from reproduce.runs import process
from reproduce.runs.failure import disk_full, explain


def test_reasons() -> None:
    class OutOfMemoryError(RuntimeError):
        pass

    full = OSError(errno.ENOSPC, "No space left on device")
    wrapped = RuntimeError("while saving")
    wrapped.__cause__ = full
    assert disk_full(wrapped)
    assert explain(full).startswith("the disk is full (OSError: [Errno 28] No space left")
    for error in (
        OutOfMemoryError("CUDA out of memory.\nTried"),
        MemoryError(),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"),
    ):
        assert explain(error).startswith("out of memory (")
        assert "\n" not in explain(error)
    assert explain(ValueError("two\nlines")) == "ValueError: two lines"

    class ArrayMemoryError(MemoryError):
        """As numpy's."""

    assert explain(ArrayMemoryError("Unable to allocate")).startswith("out of memory (")
    gone = RuntimeError("DataLoader worker (pid(s) 7) exited unexpectedly")
    assert explain(gone).startswith("a process that loads images was killed (RuntimeError: Data")
    here, there = multiprocessing.Pipe()
    there.close()
    with pytest.raises(EOFError) as cut:
        here.recv()
    assert explain(cut.value).startswith("a process that loads images was killed (EOFError)")
    assert explain(EOFError()) == "EOFError"
    caught = 'Caught UserError in DataLoader worker process 0.\nOriginal Traceback:\n  File "x"\n'
    assert explain(UserError(f"{caught}reproduce.errors.UserError: 1.jpg: bad\n")) == "1.jpg: bad"
    assert "perhaps for want of memory" in process.how_it_ended(-9)
    assert process.how_it_ended(143).endswith("killed by SIGTERM")
    assert process.how_it_ended(3).endswith("exit status 3")
