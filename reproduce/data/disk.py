"""Room on the disk, and one preparation of a folder at a time."""

import fcntl
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from reproduce.errors import UserError

GIGABYTE = 10**9


def require_space(folder: Path, size: float) -> None:
    """Check before writing that the disk of an existing folder has room.

    Args:
        folder: Where the files will be.
        size: Bytes to be written.

    Raises:
        UserError: If there is less.
    """
    free = shutil.disk_usage(folder).free
    if free < size:
        raise UserError(
            f"{size / GIGABYTE:.1f} GB must be free in {folder}, found {free / GIGABYTE:.1f} GB: "
            "free space or name another folder with --data (make: DATA=)"
        )


@contextmanager
def sole_user(folder: Path) -> Iterator[None]:
    """Make a folder and hold its lock; the lock ends with the process, however that ends.

    Args:
        folder: Folder that nobody else may prepare meanwhile.

    Raises:
        UserError: If it cannot be written or another process holds the lock.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / ".prepare.lock").open("w")
    except OSError as error:
        raise UserError(
            f"{folder} cannot be written ({error.strerror}): name another folder with --data "
            "(make: DATA=)"
        ) from None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise UserError(
                f"another process prepares data in {folder}: wait for it, then give the same "
                "command again"
            ) from None
        yield
