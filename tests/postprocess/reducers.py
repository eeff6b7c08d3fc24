"""Functions that the tests let workers run; like all of these, they do not import torch."""

import os
import signal
import sys
import time
from pathlib import Path

import numpy as np


def confusion(marginals: np.ndarray, target: np.ndarray) -> np.ndarray:
    """``(C, C)`` int64, rows = truth; 255 is void."""
    classes = len(marginals)
    valid = target != 255
    pairs = target[valid].astype(np.int64) * classes + marginals.argmax(0)[valid]
    return np.bincount(pairs, minlength=classes**2).reshape(classes, classes)


def die_once(marginals: np.ndarray, mark: Path) -> float:
    """Killed the first time; afterwards the mean of the first class."""
    if not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return float(marginals[0].mean())


def die(_: np.ndarray) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def process(_: np.ndarray) -> tuple[int, bool]:
    """Id of the worker and whether it has loaded torch."""
    return os.getpid(), "torch" in sys.modules


def fail(_: np.ndarray, wrong: bool) -> int:
    if wrong:
        raise KeyError("no such thing")
    return 0


def not_picklable(marginals: np.ndarray) -> object:
    return lambda: marginals


def sleep(_: np.ndarray, seconds: float) -> None:
    time.sleep(seconds)


def announce_and_sleep(_: np.ndarray, folder: Path) -> None:
    """Leave a file named by the process's id, then hang."""
    (folder / str(os.getpid())).touch()
    time.sleep(60)


def announce(_: np.ndarray, folder: Path) -> None:
    """Leave a file named by the process's id."""
    (folder / str(os.getpid())).touch()
