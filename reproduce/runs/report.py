"""What is logged, for people: ``reproduce runs``."""

from pathlib import Path

from reproduce.errors import UserError
from reproduce.evaluations import kind
from reproduce.files import read_json
from reproduce.runs.fingerprint import code_fingerprint
from reproduce.runs.progress import read_progress
from reproduce.runs.record import identity_problem, summary
from reproduce.runs.store import Run, all_runs

#: Lines of a log that explain a failure.
LOG_LINES = 20


def list_runs(runs: Path) -> str:
    """A line per run: id, state, experiment, seed, score."""
    lines = []
    for run in all_runs(runs):
        if run.record is None:
            words = ", ".join(part for part in (_under_way(run), run.problem) if part)
            lines.append(f"{run.folder.name}  {run.state:<11}  {words}".rstrip())
            continue
        record = run.record
        what = f"{record['scale']} {record['experiment']} seed {record['seed']}"
        if run.state == "completed":
            stale = "" if record["code"] == code_fingerprint(record["config"]) else " (stale)"
            what += f" {kind(record['config'])}  {summary(record)}{stale}"
        else:
            what += f"  {run.problem}"
        lines.append(f"{run.folder.name}  {run.state:<11}  {what}")
    return "\n".join(lines) or f"no runs under {runs}"


def _under_way(run: Run) -> str:
    """What a run without a record is, and how far it is."""
    try:
        job = read_json(run.folder / "job.json")
        what = f"{job['scale']} {job['experiment']} seed {job['seed']}"
        if job["kind"] != "training":
            what += f" {job['kind']}"
    except (UserError, KeyError):
        return ""
    found = read_progress(run.folder)
    if found is None or run.state not in ("running", "interrupted"):
        return what
    what += f", step {found.step}"
    if job["kind"] == "training":
        what += f" of {job['config']['trainer']['max_steps']}"
    return what if found.miou is None else f"{what}, mIoU {found.miou:.2f}"


def show_run(runs: Path, name: str) -> str:
    """All that is known of one run.

    Args:
        runs: Folder of the runs.
        name: Id, or its beginning.

    Raises:
        UserError: If no run, or more than one, has it.
    """
    found = [run for run in all_runs(runs) if run.folder.name.startswith(name)]
    if len(found) != 1:
        raise UserError(
            f"{len(found)} runs begin with {name!r} under {runs} (--runs names another folder): "
            "see reproduce runs list"
        )
    run = found[0]
    facts: dict[str, object] = {"run": run.folder.name, "state": run.state, "folder": run.folder}
    if run.problem:
        facts["problem"] = run.problem
    record = run.record or {}
    keys = ("experiment", "scale", "seed", "date", "commit", "code", "command")
    facts |= {key: record[key] for key in keys if key in record}
    for which, scores in record.get("scores", {}).items():
        facts[which] = f"mIoU {scores['miou']:.2f} at step {scores['step']}"
    if "timing" in record:
        facts["seconds"] = record["timing"]["wall_seconds"]
        facts["weights"] = record["weights"]["initial"][:12]
    lines = [f"{key:<11}{value}" for key, value in facts.items()]
    if run.state in ("failed", "interrupted"):
        lines += _last_lines(run.folder / "log.txt")
    return "\n".join(lines)


def _last_lines(path: Path) -> list[str]:
    """The end of a run's log, where its traceback is."""
    if not path.is_file():
        return []
    text = path.read_text(encoding="utf-8", errors="replace").splitlines()
    return [f"log        {path}, its end:", *(f"  {line}" for line in text[-LOG_LINES:])]


def verify_runs(runs: Path) -> tuple[str, int]:
    """Check that every record is readable and sits in the folder its content gives.

    Returns:
        A report and the number of bad runs.
    """
    lines, bad = [], 0
    for run in all_runs(runs):
        problem = run.problem if run.state == "unreadable" else ""
        if (record := run.record) is not None:
            problem = identity_problem(record)
            if not problem and record["id"] != run.folder.name:
                problem = f"it is the record of run {record['id']}"
        bad += bool(problem)
        lines.append(f"{run.folder.name}  {problem or 'ok'}")
    return "\n".join([*lines, f"{len(lines) - bad} of {len(lines)} runs are sound"]), bad
