"""What a driver shows of a table's runs: a few lines that change, in a terminal only."""

import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TextIO

from tqdm import tqdm

from reproduce.runs.progress import Progress

#: Most runs under way that get a line.
ROWS = 8


@dataclass(frozen=True)
class Going:
    """A run under way.

    Attributes:
        title: What it is.
        steps: Its length.
        progress: How far it is.
    """

    title: str
    steps: int
    progress: Progress


@dataclass(frozen=True)
class Status:
    """Where a table's runs stand.

    Attributes:
        runs: How many there are.
        done: How many were completed.
        failed: How many failed.
        elsewhere: How many other drivers execute.
        going: Those under way here.
        seconds: Since the beginning.
        left: Seconds to the end, ``None`` if unknown.
    """

    runs: int
    done: int = 0
    failed: int = 0
    elsewhere: int = 0
    going: Sequence[Going] = ()
    seconds: float = 0.0
    left: float | None = None

    @property
    def part(self) -> float:
        """Fraction of the time that has gone."""
        if self.done + self.failed == self.runs:
            return 1.0
        return 0.0 if self.left is None else self.seconds / (self.seconds + self.left + 1e-9)


def duration(seconds: float) -> str:
    """Such as ``40 s``, ``3.2 min`` or ``5.1 h``."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.1f} min" if seconds < 3600 else f"{seconds / 3600:.1f} h"


def headline(status: Status) -> str:
    """Counts and time left in one line."""
    counts = {
        "running": len(status.going),
        "failed": status.failed,
        "by other drivers": status.elsewhere,
    }
    words = [f"{status.done} of {status.runs} runs done"]
    words += [f"{count} {what}" for what, count in counts.items() if count]
    if status.left is not None and status.part < 1:
        words.append(f"about {duration(status.left)} left")
    return ", ".join(words)


def row(going: Going) -> str:
    """A run under way in one line."""
    step, miou = going.progress
    text = f"  {going.title}: {min(step, going.steps)} of {going.steps}"
    return text if miou is None else f"{text}, mIoU {miou:.2f}"


class Display:
    """One bar for all runs and a line for each under way; nothing where there is no terminal.

    Args:
        rows: Lines for runs under way.
        file: Where it is drawn; default standard error.
    """

    def __init__(self, rows: int, file: TextIO | None = None) -> None:
        file = sys.stderr if file is None else file
        off = not file.isatty()
        layout = "{percentage:3.0f}%|{bar:20}| {desc}"
        self._part = 0.0
        self._bar = tqdm(total=100, bar_format=layout, file=file, disable=off, dynamic_ncols=True)
        self._rows = [
            tqdm(bar_format="{desc}", file=file, disable=off, position=place, leave=False)
            for place in range(1, 1 + (0 if off else min(rows, ROWS)))
        ]

    def show(self, status: Status) -> None:
        """Draw where the runs stand."""
        if self._bar.disable:
            return
        self._part = max(self._part, status.part)  # a bar never goes back
        self._bar.n = round(100 * self._part)
        self._bar.set_description_str(headline(status))
        width = shutil.get_terminal_size().columns - 1
        texts = [row(going)[:width] for going in status.going]
        for line, text in zip(self._rows, [*texts, *[""] * len(self._rows)], strict=False):
            line.set_description_str(text)

    def close(self) -> None:
        """Leave the bar as it is, remove the other lines."""
        for line in reversed(self._rows):
            line.close()
        self._bar.close()
