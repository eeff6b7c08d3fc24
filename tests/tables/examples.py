"""Hand-made records for the tests of tables and reports."""

from typing import Any

from reproduce.experiments import read_table
from reproduce.runs.fingerprint import code_fingerprint
from reproduce.runs.identity import config_hash, identity_config, run_id
from reproduce.runs.plan import cell_config


def make_record(row: str, column: str, seed: int, miou: float, **changes: Any) -> dict[str, Any]:
    """A complete record of a made-up run of Table 1."""
    config: dict[str, Any] = {"row": row, "column": column, "seed": seed}
    table = read_table("1")
    if row in {r.key for r in table.rows}:
        found = next(table.cells(f"{row}/{column}"))
        config = identity_config(cell_config(table, *found, "demo", seed, {}))
    digest = "d" * 64
    scores = {"step": 4, "miou": miou, "pixel_accuracy": 90.0, "iou": [miou, None]}
    record = {
        "schema": 1,
        "id": run_id(config, digest),
        "state": "completed",
        "experiment": f"table1/{row}/{column}",
        "scale": "demo",
        "seed": seed,
        "config": config,
        "config_hash": config_hash(config),
        "data": {
            "data": "shapes",
            "digest": digest,
            "splits": {
                "train": {"images": 480, "valid_pixels": 10},
                "val": {"images": 240, "valid_pixels": 5},
            },
        },
        "code": code_fingerprint(config),
        "commit": "abc",
        "command": f"reproduce table table1 --scale demo --only {row}/{column}",
        "date": "2026-01-01 00:00",
        "packages": {"torch": "2.15.0"},
        "scores": {"last": scores, "best": {**scores, "miou": miou + 1}},
        "confusion": [[5, 0], [0, 0]],
        "image_iou": {"val_0000": miou},
        "history": [{"step": 4, "val/miou": miou}],
        "weights": {"initial": "e" * 64, "file": None},
        "timing": {
            "wall_seconds": 12.0,
            "train_seconds": 11.0,
            "peak_memory_bytes": 2**29,
            "steps": 4,
        },
        "hardware": {"device": "CPU | fast", "devices": 1, "threads": 1},
        "wandb": {"id": "x", "mode": "off", "url": None},
    }
    return {**record, **changes}
