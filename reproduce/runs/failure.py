"""Why a run failed, in one line."""

import contextlib
import errno
import re
import traceback
from collections.abc import Iterator
from pathlib import Path

from reproduce.errors import UserError
from reproduce.files import write_atomically

FULL = (errno.ENOSPC, errno.EDQUOT)

#: What torch's errors without a type of their own say.
NO_MEMORY = ("out of memory", "can't allocate memory", "not enough memory", "Insufficient memory")
NO_SPACE = ("No space left on device", "file write failed", "Disk quota exceeded")


#: How torch says that a process of a data loader is gone.
LOADER_GONE = r"DataLoader worker .*(killed by signal|exited unexpectedly)"


def _in_worker(message: str) -> str:
    """What was wrong in a process of a data loader, whose whole traceback torch hands on."""
    if not message.startswith("Caught ") or "in DataLoader worker process" not in message:
        return message
    return message.rstrip().rpartition("\n")[2].partition(": ")[2] or message


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def disk_full(error: BaseException) -> bool:
    """Whether an error comes from a full disk or quota."""
    return any(
        e.errno in FULL if isinstance(e, OSError) else any(word in str(e) for word in NO_SPACE)
        for e in _chain(error)
    )


def out_of_memory(error: BaseException) -> bool:
    """Whether memory, of the machine or of a GPU, did not suffice."""
    return (
        isinstance(error, MemoryError)
        or type(error).__name__ == "OutOfMemoryError"
        or any(word in str(error) for word in NO_MEMORY)
    )


def loader_gone(error: BaseException) -> bool:
    """Whether a process that loads images was killed, while it worked or while it sent one."""
    if re.match(LOADER_GONE, str(error), re.DOTALL):
        return True
    frames = traceback.extract_tb(error.__traceback__)
    received = any("multiprocessing" in frame.filename for frame in frames)
    return received and isinstance(error, (EOFError, ConnectionError))


def explain(error: BaseException) -> str:
    """One line for a record: what a user should do, where that is known, and the error."""
    reason = " ".join(_in_worker(str(error)).split())
    if isinstance(error, UserError):
        return reason
    named = f"{type(error).__name__}: {reason}" if reason else type(error).__name__
    if disk_full(error):
        return f"the disk is full ({named}): free space and give the command again"
    if out_of_memory(error):
        return f"out of memory ({named}): fewer runs at once (--jobs), or a larger machine"
    if loader_gone(error):
        return f"a process that loads images was killed ({named}): perhaps for want of memory"
    return named


#: File in which a process of a run tells why it failed; the record is the first one's to write.
PEER = "failure.txt"


def tell_failure(folder: Path, why: str) -> None:
    """Note why a process that is not the first one of its run fails."""
    with contextlib.suppress(OSError):
        write_atomically(folder / PEER, why)


def told_failure(folder: Path) -> str | None:
    """Why another process of the run failed, before this one lost it or was killed for that."""
    try:
        return (folder / PEER).read_text(encoding="utf-8")
    except OSError:
        return None
