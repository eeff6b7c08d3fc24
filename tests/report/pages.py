"""A small committed table, and runs with pictures, for the tests of the report."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml

from reproduce.data.catalog import data_set
from reproduce.data.images import read_pair
from reproduce.figures.examples import image_iou
from reproduce.runs.record import dump_record
from reproduce.segment.network import build_network
from tests.conftest import make_voc
from tests.tables.examples import make_record

EVIL = "</script><script>window.evil = 1</script><img src=x onerror='window.evil=1'>"


def curve(offset: float) -> dict[str, list[float]]:
    steps = [float(step) for step in range(5, 55, 5)]
    return {
        "step": steps,
        "train/criterion": [2 - step / 50 + offset for step in steps],
        "train/level_set": [900 - 10 * step + offset for step in steps],
    }


def example_record(row: str, column: str, seed: int, miou: float, **changes: Any) -> dict[str, Any]:
    record = make_record(row, column, seed, miou, curve=curve(seed / 10), **changes)
    record["history"] = [{"step": 25, "val/miou": miou - 3}, {"step": 50, "val/miou": miou}]
    record["scores"]["last"]["iou"] = [miou, None, 40.0, 30.0, 20.0, 10.0, 0.0]
    return record


def example_tables(root: Path, records: list[dict[str, Any]] | None = None) -> Path:
    """``tables`` with Table 1 at demo scale: two rows with two seeds, one of them stale."""
    if records is None:
        scores = {"fcn32s_resnet101": (30, 32), "fcn8s_resnet101": (60, 59)}
        records = [
            example_record(row, column, seed, miou + seed * 0.1)
            for row, pair in scores.items()
            for column, miou in zip(("baseline", "level_set"), pair, strict=True)
            for seed in (0, 1)
        ]
        records[-1]["code"] = "0" * 12
        records[0]["hardware"]["device"] = records[0]["command"] = EVIL
    folder = root / "tables" / "demo"
    (folder / "records").mkdir(parents=True)
    index = {
        "table": "table1",
        "scale": "demo",
        "seeds": 2,
        "flags": [],
        "records": {record["config_hash"]: record["id"] for record in records},
    }
    (folder / "table1.json").write_text(json.dumps(index))
    (folder / "table1.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")
    for record in records:
        (folder / "records" / f"{record['id']}.json").write_text(dump_record(record))
    return root / "tables"


def example_runs(root: Path, seeds: int = 1) -> tuple[Path, Path, Path]:
    """Tables, runs with checkpoints and data; the networks are random, their records true to them.

    The records are of the demo's configuration; that of the checkpoints names tiny VOC pictures.
    """
    data = make_voc(root / "data", classes=7)
    known = data_set("reproduce.data.VOCDataModule")
    samples = known.split(data, "val")
    records: list[dict[str, Any]] = []
    for seed in range(seeds):
        for column in ("baseline", "level_set"):
            record = example_record("fcn32s_resnet101", column, seed, 30)
            torch.manual_seed(len(records))
            network = build_network(record["config"]["model"]).eval()
            folder = root / "runs" / record["id"]
            folder.mkdir(parents=True)
            torch.save({"state_dict": network.state_dict()}, folder / "last.ckpt")
            (folder / "config.yaml").write_text(yaml.safe_dump(record["config"]))
            record["image_iou"] = {}
            for sample in samples:
                image, truth = read_pair(sample, known.classes)
                pixels = torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))[None]
                with torch.inference_mode():
                    labels = network.segment(pixels)[0].numpy().astype(np.uint8)
                record["image_iou"][sample.name] = round(image_iou(labels, truth), 2)
            records.append(record)
    return example_tables(root, records), root / "runs", data
