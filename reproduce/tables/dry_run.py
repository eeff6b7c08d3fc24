"""What a table would run, how long that takes here, and what is missing to start."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tqdm import tqdm

from reproduce.evaluations import cost_key
from reproduce.experiments import read_table
from reproduce.runs.job import Job
from reproduce.runs.plan import UNKNOWN, local_weights, to_do, with_needs
from reproduce.tables.driver import Request, plan_request

if TYPE_CHECKING:
    from reproduce.runs.estimate import Estimate


def _estimates(jobs: Sequence[Job]) -> "dict[str, Estimate]":
    from reproduce.runs.estimate import measure

    first = {cost_key(job.config): job for job in reversed(jobs)}
    bar = tqdm(first.items(), "measuring a step of each network", disable=None)
    return {key: measure(job.config) for key, job in bar}


def _missing_weights(jobs: Sequence[Job]) -> list[str]:
    from reproduce.models.loading import local_file
    from reproduce.models.weights import INITIAL_WEIGHTS

    names = {job.config["model"]["init_args"].get("weights") for job in jobs}
    lines = []
    for name in sorted(name for name in names if name in INITIAL_WEIGHTS):
        if local_file(name) is None:
            entry = INITIAL_WEIGHTS[name]
            how = "will be downloaded" if entry.enum else "bring the file yourself"
            lines.append(f"weights {name} ({entry.origin}): {how}")
    return lines


def _line(job: Job, would_run: bool, cost: "Estimate | None") -> str:
    known = job.data["digest"] != UNKNOWN
    what = "" if job.kind == "training" else f" {job.kind}"
    text = f"{job.id if known else '-' * 12}  {job.experiment} seed {job.seed}{what}: "
    text += job.look_up().state
    if not would_run:
        return text
    return f"{text}, would run" + (f", {cost.over(job.steps)}" if cost else "")


def dry_run(request: Request) -> str:
    """What is logged and what would run, a line each, with time and memory.

    The costs are those of training alone, from one measured step per network
    (:func:`reproduce.runs.estimate.measure`).
    """
    problems: list[str] = []
    local_weights(request.data)
    cells = plan_request(request, read_table(request.name, request.scale), problems)
    waiting = [job for job in to_do(cells) if job.look_up().state not in ("running", "queued")]
    ids = {job.id for job in waiting}
    trainings = [job for job in waiting if job.kind == "training"]
    # Those of the demo take seconds, less than measuring them would.
    costs = {} if request.scale == "demo" else _estimates(trainings)
    jobs = with_needs(cells)
    lines = [
        _line(job, job.id in ids, costs.get(cost_key(job.config)) if job in trainings else None)
        for job in jobs
    ]
    total = f"{len(waiting)} of {len(jobs)} runs would run"
    if costs:
        seconds = sum(costs[cost_key(job.config)].step_seconds * job.steps for job in trainings)
        total += f", training about {seconds / 3600:.1f} h one after another"
    lines.append(total)
    missing = problems + _missing_weights(trainings)
    return "\n".join([*lines, *(f"missing: {text}" for text in missing)])
