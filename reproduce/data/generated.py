"""How generated data sets come to the disk: whole or not at all, and checked by a hash."""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from reproduce.errors import UserError
from reproduce.files import read_json, write_atomically


class Generated(NamedTuple):
    """A generated data set.

    Attributes:
        name: Its name; ``<name>.json`` in the root is the marker that says how it was made.
        version: Changed whenever the pictures change.
        folder: Folder under the root that holds all of it.
        write: Writes that folder, which does not exist yet.
        masks_sha256: Hash of the labels in that folder, see :func:`masks_sha256`.
    """

    name: str
    version: str
    folder: str
    write: Callable[[Path], None]
    masks_sha256: Callable[[Path], str]

    def marker(self, folder: Path) -> dict[str, str]:
        """What the marker says of the files in a folder."""
        return {"version": self.version, "masks_sha256": self.masks_sha256(folder)}


def masks_sha256(paths: Iterable[Path], read: Callable[[Path], NDArray[Any]]) -> str:
    """SHA-256 of the labels of masks, in order of their paths; no encoder has a part in it.

    Args:
        paths: Mask files.
        read: Labels of one file.
    """
    digest = hashlib.sha256()
    for path in sorted(paths):
        labels = read(path)
        little = labels.astype(labels.dtype.newbyteorder("<"))
        digest.update(path.name.encode() + np.ascontiguousarray(little).tobytes())
    return digest.hexdigest()


def make(data: Generated, root: Path) -> None:
    """Write a data set under a root unless it is there.

    Its folder appears whole or not at all. One that was made earlier is checked by its hash, and a
    folder of that name without a marker, the user's own, is left alone.

    Args:
        data: What to write.
        root: Folder to make.

    Raises:
        UserError: If ``root`` holds something else, cannot be written, or was made by another
            version or changed.
    """
    marker = root / f"{data.name}.json"
    if (root / data.folder).is_dir():
        if marker.exists() and read_json(marker) != data.marker(root / data.folder):
            raise UserError(
                f"{root} was changed, or made by another version: remove it, and it is made again"
            )
        return
    if root.is_dir() and any(p != marker for p in root.iterdir()):
        raise UserError(
            f"expected generated {data.name} or an empty folder at {root}, found other files: "
            "leave DATA unset for the demo, or name a new folder"
        )
    work = root.with_name(f".{root.name}.{os.getpid()}")
    try:
        data.write(work / data.folder)
        root.mkdir(parents=True, exist_ok=True)
        write_atomically(marker, json.dumps(data.marker(work / data.folder)) + "\n")
        (work / data.folder).rename(root / data.folder)
    except OSError as error:
        raise UserError(f"{root} cannot be made ({error}): name another folder") from None
    finally:
        shutil.rmtree(work, ignore_errors=True)
