"""Runs that train nothing, end to end on a small generated set: CRF, search, timing, details."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from reproduce.experiments import read_table
from reproduce.files import read_json
from reproduce.metrics.encoding import decode_counts
from reproduce.postprocess import DenseCRF
from reproduce.runs.execute import base_record, execute
from reproduce.runs.fingerprint import code_fingerprint
from reproduce.runs.job import Job, write_job
from reproduce.runs.plan import plan, with_needs
from reproduce.runs.record import read_record, write_record

#: A few steps on a few images, a search of three trials and more where these lead.
SMALL: dict[str, dict[str, Any]] = {
    "search": {"images": 2, "bi_w": [3], "bi_xy_std": [5], "bi_rgb_std": [5], "iterations": 1},
    "timing": {"images": 2},
}


def shrink(job: Job) -> Job:
    """The job with a small search and timing, and those it needs likewise."""
    config = job.config
    evaluation = json.loads(json.dumps(config.get("evaluation")))
    for place in (evaluation or {}, (evaluation or {}).get("crf") or {}):
        for key in SMALL.keys() & place.keys():
            place[key] = {**place[key], **SMALL[key]}
    if evaluation is not None:
        config = {**config, "evaluation": evaluation}
    needs = {role: shrink(need) for role, need in job.needs.items()}
    return replace(job, config=config, needs=needs)


def run(job: Job) -> dict[str, Any]:
    """Execute a job in this process, unless its record is there."""
    path = job.folder / "record.json"
    if not path.exists():
        described = write_job(job, threads=2, wandb="off", workers=2)
        write_record(path, {**base_record(described), **execute(job.folder)})
    return read_record(path)


@pytest.fixture(scope="module")
def jobs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Job]:
    """Table 4's row of LargeFOV, with the columns of the details beside it."""
    root = tmp_path_factory.mktemp("evaluate")
    flags = ["--trainer.max_steps=10", "--trainer.val_check_interval=10"]
    found = {}
    for name in ("table4", "details"):
        for job in plan(
            read_table(name, "demo"),
            scale="demo",
            seeds=1,
            runs=root / "runs",
            data=root / "data",
            only="deeplab_largefov",
            overrides=flags,
        ):
            small = shrink(job)
            found[f"{name} {job.experiment.rsplit('/', 1)[1]}"] = small
            for need in with_needs([small]):
                run(need)
    return found


def record_of(jobs: dict[str, Job], cell: str) -> dict[str, Any]:
    return read_record(jobs[cell].folder / "record.json")


def test_without_crf_the_scores_are_those_of_the_training(jobs: dict[str, Job]) -> None:
    for name in ("baseline", "level_set"):
        trained = read_record(jobs[f"details {name}"].needs["checkpoint"].folder / "record.json")
        record = record_of(jobs, f"details {name}")
        assert record["confusion"] == trained["confusion"]
        assert record["scores"]["last"] == trained["scores"]["last"]
        assert record["image_iou"] == trained["image_iou"]
        assert record["crf"] is None


def test_trimap_of_infinite_width_is_the_whole_image(jobs: dict[str, Job]) -> None:
    for name in ("details baseline", "table4 crfs10"):
        record = record_of(jobs, name)
        matrix = np.array(record["confusion"])
        union = matrix.sum(0) + matrix.sum(1) - matrix.diagonal()
        counts = decode_counts(record["details"])["trimap"][:, -1].sum(0)
        assert counts.tolist() == np.stack([matrix.diagonal(), union], 1).tolist()


def test_the_crf_has_the_parameters_that_the_search_found(jobs: dict[str, Job]) -> None:
    job = jobs["table4 crfs5"]
    searched = read_record(job.needs["search"].folder / "record.json")["search"]
    best = max(searched["trials"], key=lambda trial: trial["miou"])
    assert searched["best"]["miou"] == best["miou"]
    assert len(searched["images"]) == 2
    found = record_of(jobs, "table4 crfs5")["crf"]
    assert found == {**searched["best"]["crf"], "iterations": 5}
    assert record_of(jobs, "table4 crfs10")["crf"]["iterations"] == 10
    assert job.needs["search"].id == jobs["table4 crfs10"].needs["search"].id


def test_the_crf_run_equals_a_direct_call(jobs: dict[str, Job]) -> None:
    """Every image of the set, with the network's own probabilities."""
    from reproduce.lightning_cli import build_cli

    job = jobs["table4 crfs10"]
    record = record_of(jobs, "table4 crfs10")
    cli = build_cli({k: v for k, v in job.config.items() if k != "evaluation"}, {"logger": False})
    state = torch.load(job.needs["checkpoint"].folder / "last.ckpt", weights_only=True)
    cli.model.load_state_dict(state["state_dict"])
    cli.model.eval()
    cli.datamodule.setup("validate")
    crf = DenseCRF(**record["crf"])
    for index in range(0, 240, 40):
        item = cli.datamodule.val_set[index]
        with torch.inference_mode():
            maps = cli.model.full_logits(item["image"][None]).softmax(1)[0]
        labels = crf(item["image"].permute(1, 2, 0), maps).argmax(0)
        iou = []
        for label in range(7):
            valid = item["mask"].numpy() != 255
            own, truth = (labels == label) & valid, item["mask"].numpy() == label
            if (own | truth).any():
                iou.append((own & truth).sum() / (own | truth).sum())
        assert record["image_iou"][item["id"]] == pytest.approx(100 * np.mean(iou), abs=0.006)
    matrix = np.array(record["confusion"])
    assert matrix.sum() == job.data["splits"]["val"]["valid_pixels"]


def test_timing_has_all_methods(jobs: dict[str, Job]) -> None:
    methods = record_of(jobs, "table4 timing")["inference"]["methods"]
    assert set(methods) == {"level_set", "baseline", "crfs5", "crfs10"}
    assert all(len(method["seconds"]) == 2 for method in methods.values())


def test_evaluations_of_a_stale_network_are_stale(jobs: dict[str, Job], tmp_path: Path) -> None:
    job = jobs["details baseline"]
    trained = job.needs["checkpoint"].folder
    for folder in (trained, job.folder):
        copy = tmp_path / folder.name
        copy.mkdir()
        for path in folder.glob("*.*"):
            if path.is_file() and not (folder == job.folder and path.name == "record.json"):
                (copy / path.name).write_bytes(path.read_bytes())
    record = read_json(tmp_path / trained.name / "record.json")
    assert record["code"] == code_fingerprint(record["config"])
    (tmp_path / trained.name / "record.json").write_text(json.dumps({**record, "code": "old"}))
    result = execute(tmp_path / job.folder.name)
    assert result["code"] == f"run {trained.name} is stale"


def test_a_lost_checkpoint_is_named(jobs: dict[str, Job], tmp_path: Path) -> None:
    job = jobs["details baseline"]
    lost = replace(job, folder=tmp_path / job.id)
    write_job(lost, threads=1, wandb="off")
    trained = tmp_path / job.needs["checkpoint"].id
    trained.mkdir()
    record = job.needs["checkpoint"].folder / "record.json"
    (trained / "record.json").write_bytes(record.read_bytes())
    with pytest.raises(Exception, match=r"last\.ckpt is gone: remove .* to train it anew"):
        execute(lost.folder)
