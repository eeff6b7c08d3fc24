"""Checkpoints of a run that is under way, from which it goes on bit for bit after being killed."""

import math
import os
import random
import re
import time
import zipfile
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import torch

from reproduce.runs.recording import RecordCallback

#: Checkpoints kept: the newest, and the one before in case it is damaged.
KEPT = 2

NAME = re.compile(r"step-(\d+)\.ckpt")


def _random_state() -> dict[str, Any]:
    """State of every global random generator, as plain values that load without running code."""
    kind, keys, *rest = np.random.get_state()  # noqa: NPY002 - libraries use it
    return {
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        "numpy": [kind, np.asarray(keys).tolist(), *rest],
        "python": list(random.getstate()),
    }


def _set_random_state(state: dict[str, Any]) -> None:
    torch.set_rng_state(state["torch"])
    if state["cuda"]:
        torch.cuda.set_rng_state_all(state["cuda"])
    kind, keys, *rest = state["numpy"]
    np.random.set_state((kind, np.array(keys, np.uint32), *rest))  # noqa: NPY002 - libraries use it
    version, internal, gauss = state["python"]
    random.setstate((version, tuple(internal), gauss))


class Checkpoints(L.Callback):
    """Saves a run now and then, between two steps.

    Weights, optimiser, schedule and progress are Lightning's; this adds the random generators. The
    order of the images needs no state (:class:`~reproduce.data.loading.EpochSampler`). Lightning
    logs and validates after this hook, so nothing is saved at steps where it will: a run goes on
    with a step, and no value is logged twice or not at all.

    Args:
        folder: The run's folder.
        seconds: Between two checkpoints; ``None``: at least 2, and so many that saving takes at
            most a fiftieth of the time. The variable ``REPRODUCE_CHECKPOINT_SECONDS`` sets it too.
    """

    def __init__(self, folder: Path, seconds: float | None = None) -> None:
        self.folder = folder
        given = os.environ.get("REPRODUCE_CHECKPOINT_SECONDS")
        self.seconds = float(given) if seconds is None and given else seconds
        self._saved = time.monotonic()
        self._pause = 2.0 if self.seconds is None else self.seconds
        self._state: dict[str, Any] | None = None

    def state_dict(self) -> dict[str, Any]:
        """The random generators."""
        return _random_state()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Keep their state until training starts: building networks and loaders draws from them."""
        self._state = state_dict

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:  # noqa: ARG002
        """Set the generators of a run that goes on."""
        if self._state is not None:
            _set_random_state(self._state)
            self._state = None

    def on_train_batch_end(self, trainer: L.Trainer, *_: Any) -> None:  # noqa: ANN401
        """Save if it is time."""
        now = time.monotonic()
        due = now - self._saved >= self._pause
        if trainer.world_size > 1:  # all processes save together, when the first one says so
            due = trainer.strategy.broadcast(due)
        if not due or _more_to_come(trainer):
            return
        save(trainer, self.folder / f"step-{trainer.global_step}.ckpt")
        self._saved = time.monotonic()
        if self.seconds is None:
            self._pause = max(2.0, (self._saved - now) * 50)
        for old in saved(self.folder)[KEPT:]:
            old.unlink()


class BestCheckpoint(L.Callback):
    """Keeps the network with the best score so far as ``best.ckpt``.

    Args:
        folder: The run's folder.
        record: Has the scores; it must come before this among the callbacks.
    """

    def __init__(self, folder: Path, record: RecordCallback) -> None:
        self.folder = folder
        self.record = record

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:  # noqa: ARG002
        """Save if no earlier validation was as good."""
        if not trainer.sanity_checking and self.record.best.get("step") == trainer.global_step:
            save(trainer, self.folder / "best.ckpt")


def _more_to_come(trainer: L.Trainer) -> bool:
    """Whether more belongs to the batch that ends: steps, logging, validation, end of an epoch."""
    loop = trainer.fit_loop.epoch_loop
    batches = loop.total_batch_idx + 1
    return (
        loop.batch_progress.is_last_batch
        or batches % trainer.accumulate_grad_batches != 0
        or batches % (trainer.val_check_batch or math.inf) == 0
        or trainer.global_step % trainer.log_every_n_steps == 0  # type: ignore[attr-defined]
    )


def save(trainer: L.Trainer, path: Path) -> None:
    """Write a checkpoint that is there as a whole or not at all, also after a power cut."""
    partial = path.with_suffix(".part")
    trainer.save_checkpoint(partial, weights_only=False)
    if not trainer.is_global_zero:
        return
    with partial.open("rb") as file:
        os.fsync(file.fileno())
    partial.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    os.fsync(folder)
    os.close(folder)


def saved(folder: Path) -> list[Path]:
    """Checkpoints of a run under way, the newest first."""
    found = [(int(m[1]), p) for p in folder.glob("step-*.ckpt") if (m := NAME.fullmatch(p.name))]
    return [path for _, path in sorted(found, reverse=True)]


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Content of a checkpoint, read without running code from it.

    Raises:
        Exception: Of many kinds, if it is damaged; torch itself does not notice changed bytes.
    """
    with zipfile.ZipFile(path) as file:
        if (bad := file.testzip()) is not None:
            raise ValueError(f"the check sum of its part {bad} is wrong")
    content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    return content


def newest(folder: Path) -> tuple[Path, dict[str, Any]] | None:
    """The newest checkpoint that can be read, and its content; damaged ones are removed.

    A line on standard output, which is the run's log, says what was found.
    """
    for path in saved(folder):
        try:
            content = read_checkpoint(path)
            print(f"resume: goes on after step {content['global_step']} ({path.name})", flush=True)
        except Exception as error:  # noqa: BLE001 - torch raises many kinds for a damaged file
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            print(f"resume: {path.name} is damaged ({reason}), removed", flush=True)
            path.unlink()
        else:
            return path, content
    return None


def position(content: dict[str, Any]) -> tuple[int, int]:
    """Epoch, and batches of it that were used, of a checkpoint."""
    loop = content["loops"]["fit_loop"]
    batches = loop["epoch_loop.batch_progress"]["current"]["processed"]
    return int(loop["epoch_progress"]["current"]["processed"]), int(batches)


def remove(folder: Path) -> None:
    """Remove what only an unfinished run needs."""
    for path in (*saved(folder), *folder.glob("step-*.part")):
        path.unlink()
