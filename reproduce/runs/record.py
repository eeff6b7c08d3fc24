"""``record.json``: everything a table needs to know of one run."""

import json
import statistics
from pathlib import Path
from typing import Any

from reproduce.errors import UserError
from reproduce.evaluations import kind
from reproduce.files import read_json, write_atomically
from reproduce.runs.identity import config_hash, run_id

#: Version of the layout below; records of later versions are refused, never overwritten.
SCHEMA = 1

#: What every record holds; those of completed runs also hold what ``COMPLETED`` names by kind of
#: run (:func:`reproduce.evaluations.kind`).
REQUIRED = {
    "schema",
    "id",
    "state",
    "experiment",
    "scale",
    "seed",
    "config",
    "config_hash",
    "data",
    "code",
    "command",
    "date",
}
COMPLETED = {
    "training": {"scores", "confusion", "image_iou", "history", "timing", "hardware", "weights"},
    "evaluation": {"scores", "confusion", "image_iou", "details", "timing", "hardware", "weights"},
    "search": {"scores", "search", "timing", "hardware", "weights"},
    "timing": {"inference", "timing", "hardware", "weights"},
}


def _completed(config: dict[str, Any]) -> set[str]:
    """What a completed record of a configuration holds: timing runs have one of two results."""
    needed = COMPLETED[kind(config)]
    overhead = "overhead" in config.get("evaluation", {})
    return needed - {"inference"} | {"overhead"} if overhead else needed


def read_record(path: Path) -> dict[str, Any]:
    """A checked record.

    Raises:
        UserError: If it is unreadable, of a later version or incomplete.
    """
    record = read_json(path)
    version = record.get("schema")
    if isinstance(version, int) and version > SCHEMA:
        raise UserError(
            f"{path} has schema {version}, this version reads up to {SCHEMA}: update the project"
        )
    completed = _completed(record.get("config", {}))
    needed = REQUIRED | (completed if record.get("state") == "completed" else {"error"})
    missing = sorted(needed - record.keys())
    if missing:
        raise UserError(f"{path} lacks {', '.join(missing)}: move its folder away to run it again")
    return record


def identity_problem(record: dict[str, Any]) -> str:
    """What is wrong with a record's hash or id, which its configuration and data give; or empty."""
    if config_hash(record["config"]) != record["config_hash"]:
        return "its configuration does not have the hash it names"
    if run_id(record["config"], record["data"]["digest"]) != record["id"]:
        return "its configuration and data do not give the id it has"
    return ""


def write_record(path: Path, record: dict[str, Any]) -> None:
    """Write a record as its run's last act.

    Raises:
        UserError: If a record of a completed run is there already.
    """
    if path.exists() and read_record(path)["state"] == "completed":
        raise UserError(f"{path} is the record of a completed run: it is never overwritten")
    write_atomically(path, dump_record(record))


def dump_record(record: dict[str, Any]) -> str:
    """A record as text: sorted keys, one line per top-level entry."""
    lines = (
        f"{json.dumps(key)}: {json.dumps(record[key], sort_keys=True)}" for key in sorted(record)
    )
    return "{\n" + ",\n".join(lines) + "\n}\n"


def summary(record: dict[str, Any]) -> str:
    """What came out of a completed run, in a few words."""
    if "overhead" in record:
        both = record["overhead"]["step"]
        medians = {name: statistics.median(value["seconds"]) for name, value in both.items()}
        return ", ".join(f"{name} {value:.3f} s" for name, value in medians.items()) + " a step"
    if kind(record["config"]) == "timing":
        medians = record["inference"]["methods"]
        return ", ".join(f"{name} {value['median']:.3f} s" for name, value in medians.items())
    score = f"mIoU {record['scores']['last']['miou']:.2f}"
    if kind(record["config"]) == "search":
        return f"{score} on training images, {len(record['search']['trials'])} trials"
    return score
