"""How far a run is: a line in the file ``progress`` of its folder, for drivers and people."""

import contextlib
from pathlib import Path
from typing import NamedTuple

from reproduce.files import write_atomically

NAME = "progress"


class Progress(NamedTuple):
    """How far a run is.

    Attributes:
        step: Steps done; of an evaluation the images.
        miou: Of the last validation in percent, if there was one.
    """

    step: int
    miou: float | None = None


#: Of a run that has just begun.
START = Progress(0)


def write_progress(folder: Path, step: int, miou: float | None = None) -> None:
    """Tell how far the run of a folder is."""
    write_atomically(folder / NAME, f"{step}" if miou is None else f"{step} {miou:.2f}")


def read_progress(folder: Path) -> Progress | None:
    """How far it is known to be; ``None`` if nothing is known."""
    with contextlib.suppress(OSError, ValueError):
        step, *miou = (folder / NAME).read_text(encoding="utf-8").split()
        return Progress(int(step), float(miou[0]) if miou else None)
    return None
