"""How long the rest of a table's runs will take, from what their steps were seen to take."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from reproduce.evaluations import cost_key
from reproduce.runs.job import Job


class Seen(NamedTuple):
    """A run, or the part of it that was seen.

    Attributes:
        job: The run.
        steps: How many were done.
        seconds: In which time.
        left: How many are to do.
    """

    job: Job
    steps: int
    seconds: float
    left: int = 0


class _Rates:
    """Seconds a step, of like runs where there were any, else the mean over more and more."""

    def __init__(self, seen: Iterable[Seen]) -> None:
        self.sums: dict[tuple[str, ...], list[float]] = defaultdict(lambda: [0.0, 0.0])
        for run in seen:
            if run.steps > 0:
                for key in self._keys(run.job):
                    self.sums[key][0] += run.seconds
                    self.sums[key][1] += run.steps

    @staticmethod
    def _keys(job: Job) -> list[tuple[str, ...]]:
        return [(job.kind, cost_key(job.config)), (job.kind,), ()]

    def of(self, job: Job) -> float:
        seconds, steps = next(self.sums[key] for key in self._keys(job) if key in self.sums)
        return seconds / steps


def seconds_left(
    finished: Sequence[Seen], running: Sequence[Seen], waiting: Sequence[Job], at_once: int
) -> float | None:
    """Time until all runs are done, if steps go on as seen.

    Args:
        finished: Runs that were executed here, beside others as the rest will be.
        running: Runs under way.
        waiting: Runs to come.
        at_once: Runs side by side.

    Returns:
        Seconds, ``None`` as long as no step was seen. At least what the longest run takes.
    """
    rates = _Rates([*finished, *running])
    if not rates.sums:
        return None
    each = [run.left * rates.of(run.job) for run in running]
    each += [job.steps * rates.of(job) for job in waiting]
    return max(sum(each) / at_once, max(each, default=0.0))
