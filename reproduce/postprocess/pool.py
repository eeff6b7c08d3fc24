"""CRF of many images in worker processes, while the caller's network computes the next."""

import pickle
import queue as queues
import threading
from collections import deque
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, Self

from reproduce.postprocess.crf import DenseCRF
from reproduce.postprocess.inputs import plain
from reproduce.postprocess.remote import ClosedError, CRFError, Worker
from reproduce.postprocess.worker import Answer, Task, argmax_labels, work


def _check(workers: int, queue: int, reduce: Callable[..., Any]) -> None:
    if workers < 0 or queue < 1:
        raise ValueError(f"expected workers >= 0 and queue >= 1, got {workers} and {queue}")
    if not workers:
        return
    try:
        pickle.dumps(reduce)
        importable = getattr(reduce, "__module__", None) != "__main__"
    except (pickle.PicklingError, AttributeError, TypeError):
        importable = False
    if not importable:
        raise ValueError(
            f"reduce must be importable by the workers, got {reduce!r}: define it in a module, or "
            "use workers=0"
        )


class CRFPool:
    """Refines images in the background; an image is never lost, whatever happens to a worker.

    The pool is used by one thread. Leaving its ``with`` block waits for the images under way, or
    drops them at once if the block raised. If the caller is killed, the workers end by themselves.

    Args:
        crf: The CRF.
        workers: Processes; 0 computes in :meth:`submit`, with the same answers.
        queue: Most images submitted and not finished; each takes ``4 C H W`` bytes, and as much
            again in a worker (DenseCRF itself needs several times that).
        reduce: ``reduce(marginals (C, H, W), *extra)`` runs in the worker; what it returns comes
            back. A function of a module (or a ``functools.partial`` of one) that should not
            import torch; by default the labels ``(H, W)``.
        progress: Called as ``progress(done, submitted)`` after each image, by the caller's thread
            when it submits or takes results.

    Raises:
        ValueError: On negative numbers, or a ``reduce`` that workers cannot import.

    Example:
        >>> import numpy as np
        >>> image = np.zeros((4, 4, 3), np.uint8)
        >>> certain = np.stack([np.ones((4, 4)), np.zeros((4, 4))])
        >>> with CRFPool(DenseCRF(), workers=0) as pool:
        ...     pool.submit("black", image, certain)
        >>> [(key, labels.max()) for key, labels in pool.results()]
        [('black', np.uint8(0))]
    """

    def __init__(
        self,
        crf: DenseCRF,
        workers: int = 2,
        queue: int = 4,
        reduce: Callable[..., Any] = argmax_labels,
        progress: Callable[[int, int], object] | None = None,
    ) -> None:
        _check(workers, queue, reduce)
        self.crf = crf
        self.reduce = reduce
        self.progress = progress
        self._submitted = self._done = 0
        self._closed = False
        self._slots = threading.Semaphore(queue)
        self._inbox: queues.SimpleQueue[tuple[Any, bytes] | None] = queues.SimpleQueue()
        self._outbox: queues.SimpleQueue[tuple[Any, Answer]] = queues.SimpleQueue()
        self._finished: deque[tuple[Any, Any]] = deque()
        self._workers = [Worker() for _ in range(workers)]
        self._threads = [
            threading.Thread(target=self._feed, args=(worker,), daemon=True, name="crf-pool")
            for worker in self._workers
        ]
        for thread in self._threads:
            thread.start()

    def _feed(self, worker: Worker) -> None:
        """Body of the thread of a worker."""
        try:
            while (item := self._inbox.get()) is not None:
                key, task = item
                try:
                    answer = worker.ask(task)
                except ClosedError:
                    return
                except Exception as error:  # noqa: BLE001  raised again where results are taken
                    answer = Answer(None, f"{type(error).__name__}: {error}")
                self._outbox.put((key, answer))
                self._slots.release()
        finally:
            worker.stop()

    def submit(self, key: object, image: object, probabilities: object, *extra: object) -> None:
        """Hand over an image; blocks while ``queue`` images are under way.

        What is handed over is copied, so the caller may overwrite it.

        Args:
            key: Comes back with the result; unique if results are to be told apart.
            image: See :meth:`DenseCRF.__call__`.
            probabilities: See :meth:`DenseCRF.__call__`.
            *extra: More arguments of ``reduce``; tensors reach it as numpy arrays.

        Raises:
            CRFError: If an earlier image failed; this one is not taken then.
            ValueError: If the pool is closed.
        """
        if self._closed:
            raise ValueError("the pool is closed: submit inside its with block")
        while self._take(wait=False):
            pass
        task = Task(
            self.crf, self.reduce, plain(image), plain(probabilities), tuple(map(plain, extra))
        )
        if self._workers:
            self._slots.acquire()
            self._inbox.put((key, pickle.dumps(task, protocol=5)))
        else:
            self._outbox.put((key, work(task)))
        self._submitted += 1

    def _take(self, wait: bool) -> bool:
        """Move one answer from the workers to the finished results; whether there was one."""
        try:
            key, answer = self._outbox.get(block=wait)
        except queues.Empty:
            return False
        self._done += 1
        if self.progress:
            self.progress(self._done, self._submitted)
        if answer.error:
            raise CRFError(key, answer)
        self._finished.append((key, answer.value))
        return True

    def results(self, wait: bool = True) -> Iterator[tuple[Any, Any]]:
        """Results that were not taken yet, as they are finished, which is in any order.

        Args:
            wait: For all images submitted; otherwise only those that are finished by now.

        Yields:
            Key and what ``reduce`` returned.

        Raises:
            CRFError: If an image failed; called again, it goes on with the others.
        """
        while self._finished or (
            self._done < self._submitted and self._take(wait and not self._closed)
        ):
            yield self._finished.popleft()

    def close(self) -> None:
        """End all workers at once: images under way are dropped, finished results stay."""
        self._closed = True
        for worker in self._workers:
            worker.close()
            self._inbox.put(None)
        for thread in self._threads:
            thread.join()

    def __enter__(self) -> Self:
        """The pool."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Wait for the images under way, unless the block raised; end the workers.

        Raises:
            CRFError: If an image failed.
        """
        try:
            while kind is None and self._done < self._submitted:
                self._take(wait=not self._closed)
        finally:
            self.close()
