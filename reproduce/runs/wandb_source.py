"""Records read from Weights & Biases. Whatever comes from there is checked like any input."""

import hashlib
import sys
import tempfile
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reproduce.errors import UserError
from reproduce.runs.record import identity_problem, read_record
from reproduce.runs.wandb_mode import check_server

if TYPE_CHECKING:
    from wandb.apis.public import Run

PREFIX = "wandb:"

#: Seconds a request may take, runs listed by one, and bytes of the largest record that is read.
TIMEOUT, PAGE, LARGEST = 30, 50, 2**28


def project_of(source: str) -> str:
    """``ENTITY/PROJECT`` of a source ``wandb:ENTITY/PROJECT``.

    Raises:
        UserError: If it has another form.
    """
    path = source.removeprefix(PREFIX)
    parts = path.split("/")
    if not source.startswith(PREFIX) or len(parts) != 2 or not all(parts):
        raise UserError(f"--source {source}: expected local or wandb:ENTITY/PROJECT")
    return path


def wandb_records(source: str, hashes: Collection[str]) -> list[dict[str, Any]]:
    """Records of finished runs in a project.

    Runs that failed, were killed or still go are not counted. A run whose record is damaged, or
    is not the one that the run announced, is named on standard error and left out.

    Args:
        source: ``wandb:ENTITY/PROJECT``.
        hashes: Hashes of the configurations that are wanted.

    Raises:
        UserError: If the user is not logged in, the server does not answer, or there is no such
            project.
    """
    project = project_of(source)
    check_server()
    import wandb
    import wandb.errors

    try:
        api = wandb.Api(timeout=TIMEOUT)
        filters = {"state": "finished", "config.config_hash": {"$in": sorted(hashes)}}
        runs = api.runs(project, filters=filters, per_page=PAGE, lazy=False)
        return [record for run in runs for record in _record_of(run, hashes)]
    except (wandb.errors.Error, ValueError) as error:
        reason = " ".join(str(error).split())
        raise UserError(
            f"{source} cannot be read ({reason}): check the names, and that "
            "this account (.venv/bin/wandb login) may see the project"
        ) from None


def _record_of(run: "Run", hashes: Collection[str]) -> Iterator[dict[str, Any]]:
    """The record of a run if it is wanted and sound."""
    from reproduce.runs.mirror import MARK

    if run.state != "finished" or run.config.get("config_hash") not in hashes:
        return
    try:
        record = _download(run, dict(run.summary).get(MARK))
        if record["config_hash"] not in hashes:
            raise UserError("its record is of another configuration than the run")  # noqa: TRY301
    except UserError as error:
        print(f"reproduce: W&B run {run.id!r} is left out: {error}", file=sys.stderr)
    else:
        yield record


def _download(run: "Run", expected: object) -> dict[str, Any]:
    """A run's record.

    Raises:
        UserError: If there is none, or it is not a sound record of a completed run.
    """
    from reproduce.runs.mirror import RECORD

    found = [file for file in run.files(names=[RECORD]) if file.name == RECORD]
    if not found or found[0].size > LARGEST:
        raise UserError(f"it has no file {RECORD} of at most {LARGEST} bytes")
    with tempfile.TemporaryDirectory() as folder:
        found[0].download(root=folder, replace=True).close()
        path = Path(folder, RECORD)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        if digest != expected:
            raise UserError(f"{RECORD} has the hash {digest}, its summary says {expected}")
        try:
            record = read_record(path)
            problem = identity_problem(record)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise UserError(f"{RECORD} is no record ({type(error).__name__}: {error})") from None
    if problem or record["state"] != "completed":
        raise UserError(problem or "its record is not of a completed run")
    return record
