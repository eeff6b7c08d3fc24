"""The side of the CRF pool that runs in a process of its own.

Workers are new interpreters that import this module only: neither the caller's main module nor
torch is loaded, and no threads or CUDA state are inherited.
"""

import contextlib
import signal
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from reproduce.postprocess.crf import DenseCRF


class Task(NamedTuple):
    """One image to refine, with all that this needs.

    Attributes:
        crf: The CRF.
        reduce: Called as ``reduce(marginals, *extra)``; what it returns travels back.
        image: See :class:`DenseCRF`.
        probabilities: See :class:`DenseCRF`.
        extra: More arguments of ``reduce``.
    """

    crf: DenseCRF
    reduce: Callable[..., Any]
    image: object
    probabilities: object
    extra: tuple[Any, ...]


class Answer(NamedTuple):
    """What became of a task.

    Attributes:
        value: What ``reduce`` returned.
        error: One line, empty if all is well.
        trace: Traceback of the error.
    """

    value: Any
    error: str = ""
    trace: str = ""


def argmax_labels(marginals: NDArray[np.float32]) -> NDArray[np.integer[Any]]:
    """The most probable class of each pixel.

    Args:
        marginals: ``(C, H, W)``.

    Returns:
        ``(H, W)``, uint8 up to 256 classes, else int32.
    """
    dtype = np.uint8 if len(marginals) <= 256 else np.int32
    labels: NDArray[np.integer[Any]] = marginals.argmax(0).astype(dtype)
    return labels


def _failure(error: Exception) -> Answer:
    return Answer(None, f"{type(error).__name__}: {error}", traceback.format_exc())


def work(task: Task) -> Answer:
    """Refine and reduce one image; errors become part of the answer."""
    try:
        return Answer(task.reduce(task.crf(task.image, task.probabilities), *task.extra))
    except Exception as error:  # noqa: BLE001  the caller raises it, with the image's key
        return _failure(error)


def main(descriptor: int) -> None:
    """Answer tasks until the caller closes its end of the pipe or is gone.

    Args:
        descriptor: Open file descriptor of a duplex pipe that carries pickles.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the caller's to handle
    with Connection(descriptor) as pipe, contextlib.suppress(EOFError, ConnectionError):
        while True:
            try:
                pipe.send(work(pipe.recv()))
            except (EOFError, ConnectionError):
                raise
            except Exception as error:  # noqa: BLE001  a function or result that cannot travel
                pipe.send(_failure(error))
