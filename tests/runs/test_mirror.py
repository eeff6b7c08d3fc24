"""Runs in Weights & Biases: real offline runs, read back and sent to a small server."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from reproduce.experiments import read_table
from reproduce.files import read_json
from reproduce.metrics.scores import iou_per_class
from reproduce.runs.identity import config_hash
from reproduce.runs.job import Job, write_job
from reproduce.runs.mirror import Mirror, remove_empty
from reproduce.runs.plan import plan
from reproduce.tables.driver import Request, make_table
from tests.runs.wandb_server import ENTITY, KEY, PROJECT, WandbServer

#: Command of wandb beside the Python that runs the tests.
WANDB = str(Path(sys.executable).with_name("wandb"))

#: Checkpoints are saved between the steps that are logged.
FLAGS = ["--trainer.max_steps=60", "--trainer.val_check_interval=30"]
FLAGS += ["--trainer.log_every_n_steps=4"]


@dataclass
class Offline:
    """An offline run as wandb's own reader shows it.

    Attributes:
        folder: Its folder.
        records: What was logged, in order.
    """

    folder: Path
    records: list[dict[str, Any]]

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [record[kind] for record in self.records if record["type"] == kind]

    @property
    def exit_code(self) -> int | None:
        """``None`` if it was killed."""
        ended = self.of("exit")
        return ended[-1].get("exit_code", 0) if ended else None

    def last(self, key: str) -> Any:
        """Last value of a metric, dots for levels."""
        rows = [item["item"] for item in self.of("history")]
        return [row[key] for row in rows if key in row][-1]

    def table(self, key: str) -> dict[str, Any]:
        """A logged table: columns and data."""
        return read_json(self.folder / "files" / self.last(f"{key}.path"))


def offline_runs(folder: Path) -> list[Offline]:
    """The offline runs of a run's folder, the oldest first, by ``wandb leet inspect --json``."""
    found = []
    for path in sorted((folder / "wandb").glob("offline-run-*")):
        words = [WANDB, "leet", "inspect", "--json", str(path)]
        lines = subprocess.run(words, capture_output=True, text=True, check=True).stdout
        found.append(Offline(path, [json.loads(line) for line in lines.splitlines()]))
    return found


def make_job(folder: Path, data: Path, wandb: str, table: str = "1", **options: Any) -> Job:
    (job,) = plan(
        read_table(table),
        scale="demo",
        seeds=1,
        runs=folder,
        data=data,
        only="fcn32s_resnet101/level_set",
        overrides=FLAGS,
    )
    write_job(job, threads=1, wandb=wandb, **options)
    return job


def environment(**variables: str) -> dict[str, str]:
    """Of a run: a key is set, as it may be on anybody's machine."""
    kept = {key: value for key, value in os.environ.items() if key != "WANDB_MODE"}
    return {**kept, "WANDB_API_KEY": KEY, **variables}


def start(job: Job, **variables: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "reproduce.runs.execute", str(job.folder)]
    return subprocess.Popen(command, env=environment(**variables))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="module")
def job(data: Path) -> Job:
    """A completed run that was killed once: two offline runs of one id."""
    job = make_job(data / "runs", data / "shapes", "offline", wandb_checkpoints=True)
    process = start(job, REPRODUCE_CHECKPOINT_SECONDS="0")
    while process.poll() is None and not list(job.folder.glob("step-*.ckpt")):
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    time.sleep(1.1)  # wandb names its folders by the second
    assert start(job).wait() == 0
    return job


@pytest.fixture(scope="module")
def runs(job: Job) -> list[Offline]:
    return offline_runs(job.folder)


def test_the_mirror_changes_nothing(job: Job, data: Path, tmp_path: Path) -> None:
    """Scores, curves and weights are bit for bit those of a run without it."""
    other = make_job(tmp_path, data / "shapes", "off")
    assert start(other).wait() == 0
    mirrored, plain = (read_json(j.folder / "record.json") for j in (job, other))
    differing = {"date", "timing", "hardware", "wandb"}
    assert not (other.folder / "wandb").exists()
    assert mirrored["wandb"] == {"id": job.id, "mode": "offline", "url": None}
    for key in (mirrored.keys() | plain.keys()) - differing:
        assert mirrored[key] == plain[key], key
    weights = [
        torch.load(j.folder / "last.ckpt", weights_only=True)["state_dict"] for j in (job, other)
    ]
    for name, value in weights[0].items():
        assert torch.equal(value, weights[1][name]), name
    metrics = [(j.folder / "metrics.csv").read_text() for j in (job, other)]
    assert metrics[0] == metrics[1]


def test_a_killed_run_has_no_end_and_keeps_its_id(job: Job, runs: list[Offline]) -> None:
    *killed, completed = runs  # what wandb had written nothing of is gone
    assert len(killed) <= 1
    assert completed.exit_code == 0
    for run in killed:
        assert run.exit_code is None
        assert not (run.folder / "files" / "record.json").exists()
    ids = [(about["run_id"], about["project"]) for run in runs for about in run.of("run")]
    assert set(ids) == {(job.id, PROJECT)}


def test_offline_runs_without_content_are_removed(tmp_path: Path) -> None:
    """``wandb sync`` would stop at them."""
    for name, content in (("offline-run-1-a", b":" * 7), ("offline-run-2-a", b":" * 99)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "run-a.wandb").write_bytes(content)
    remove_empty(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["offline-run-2-a"]


def test_what_a_run_says_of_itself(job: Job, runs: list[Offline]) -> None:
    (about,) = runs[-1].of("run")
    assert about["display_name"] == "fcn32s_resnet101 level_set demo seed 0"
    assert (about["run_group"], about["job_type"]) == ("table1", "level_set")
    words = {"FCN", "thin", "CrossEntropyLoss", "LevelSet", "shapes", "demo", "seed 0"}
    assert words <= set(about["tags"])
    config = about["config"]["update"]
    assert config["config_hash"] == config_hash(job.config)
    assert config["data_digest"] == job.data["digest"]
    assert config["trainer"]["max_steps"] == 60


def test_the_record_travels(job: Job, runs: list[Offline]) -> None:
    local = (job.folder / "record.json").read_bytes()
    assert (runs[-1].folder / "files" / "record.json").read_bytes() == local
    marks = [item["update"].get("record_sha256") for item in runs[-1].of("summary")]
    assert hashlib.sha256(local).hexdigest() in marks
    saved = [file["path"] for item in runs[-1].of("files") for file in item["files"]]
    assert "record.json" in saved


def test_scores_can_be_computed_again(job: Job, runs: list[Offline]) -> None:
    """From the counts that were logged, and they are those of the table of classes."""
    record = read_json(job.folder / "record.json")
    logged = runs[-1].table("scores/confusion")
    counts = torch.tensor([row[1:] for row in logged["data"]])
    assert [row[0] for row in logged["data"]] == logged["columns"][1:]
    assert counts.sum() == job.data["splits"]["val"]["valid_pixels"]
    iou = iou_per_class(counts) * 100
    assert iou.nanmean().item() == pytest.approx(record["scores"]["last"]["miou"], abs=1e-4)
    assert iou.nanmean().item() == pytest.approx(runs[-1].last("val/miou"), abs=1e-4)
    by_class = runs[-1].table("scores/iou")["data"]
    assert [row[1] for row in by_class] == record["scores"]["last"]["iou"]
    assert [row[2] for row in by_class] == counts.sum(1).tolist()
    assert runs[-1].last("iou/background") == pytest.approx(iou[0].item(), abs=1e-4)
    picture = runs[-1].folder / "files" / runs[-1].last("scores/confusion_picture.path")
    with Image.open(picture) as image:
        assert min(image.size) > 24 * 7


def test_losses_and_speed(runs: list[Offline]) -> None:
    rows = [item["item"] for item in runs[-1].of("history")]
    steps = [row for row in rows if "train/loss" in row]
    assert steps[-1]["trainer/global_step"] == 59
    for row in steps:
        weighted = 4e-4 * row["train/level_set"]
        assert row["train/weighted_level_set"] == pytest.approx(weighted, rel=1e-3)
        assert row["train/loss"] == pytest.approx(row["train/criterion"] + weighted, rel=1e-5)
        assert row["train/gradient_norm"] > 0
        assert row["speed/images_per_second"] > 0
        assert 0.1 < row["speed/peak_memory_gib"] < 10
    rates = [row["optimiser/learning_rate_0"] for row in steps]
    assert rates == sorted(rates, reverse=True)


def test_pictures_have_masks(job: Job, runs: list[Offline]) -> None:
    run = runs[-1]
    names = run.last("val/pictures.captions")
    assert len(names) == 16
    assert len(set(names)) == 16
    rows = [item["item"] for item in run.of("history")]
    assert len([row for row in rows if "val/pictures.captions" in row]) == 1  # at the end
    files = run.folder / "files"
    root = Path(job.config["data"]["init_args"]["root"])
    for name, path in zip(names, run.last("val/pictures.filenames"), strict=True):
        with Image.open(files / path) as image:
            logged = np.asarray(image.convert("RGB"))
        (original,) = root.rglob(f"{name}.jpg")
        with Image.open(original) as image:
            assert np.abs(np.asarray(image).astype(int) - logged).max() == 0
    masks = run.last("val/pictures.all_masks")
    for mask in masks:
        assert set(mask) == {"prediction", "ground truth"}
    (truth,) = root.rglob(f"SegmentationClass/{names[0]}.png")
    with Image.open(truth) as image, Image.open(files / masks[0]["ground truth"]["path"]) as mask:
        assert np.array_equal(np.asarray(image), np.asarray(mask.convert("L")))
    assert len(run.last("val/level_set.captions")) == 16


def test_void_has_a_name(runs: list[Offline]) -> None:
    text = json.dumps(runs[-1].records)
    assert '"255"' in text
    assert '"void"' in text


def test_artifacts_lie_in_the_folder_of_the_run(job: Job, runs: list[Offline]) -> None:
    artifacts = runs[-1].of("artifact")
    names = {item["name"]: item for item in artifacts}
    assert {"environment", "data-shapes", f"network-{job.id}"} <= names.keys()
    entries = [entry for item in artifacts for entry in item["manifest"]["contents"]]
    paths = [Path(entry["local_path"]) for entry in entries]
    assert all(path.is_file() and path.is_relative_to(job.folder.resolve()) for path in paths)
    assert read_json(job.folder / "wandb" / "data-shapes.json") == job.data
    assert "torch" in read_json(job.folder / "wandb" / "environment.json")["packages"]
    networks = [item for item in artifacts if item["name"].startswith("network-")]
    for alias, item in zip(("best", "last"), networks, strict=True):
        assert set(item["aliases"]) == {"latest", alias}


def test_the_best_network_is_kept(job: Job) -> None:
    record = read_json(job.folder / "record.json")
    best = torch.load(job.folder / "best.ckpt", weights_only=True)
    assert best["global_step"] == record["scores"]["best"]["step"]


def test_no_key_is_written_anywhere(job: Job) -> None:
    for path in job.folder.rglob("*"):
        assert not path.is_file() or KEY.encode() not in path.read_bytes(), path


def test_an_evaluation_is_a_run_too(job: Job, data: Path) -> None:
    """Of the network that was trained."""
    scored = make_job(job.folder.parent, data / "shapes", "offline", "details")
    assert scored.needs["checkpoint"].id == job.id
    assert start(scored).wait() == 0
    record = read_json(scored.folder / "record.json")
    (run,) = offline_runs(scored.folder)
    (about,) = run.of("run")
    assert (about["run_group"], about["job_type"]) == ("details", "evaluation")
    assert run.exit_code == 0
    assert run.last("val/miou") == record["scores"]["last"]["miou"]
    assert [row[1:] for row in run.table("scores/confusion")["data"]] == record["confusion"]
    results = [item["update"].get("result") for item in run.of("summary")]
    assert f"mIoU {record['scores']['last']['miou']:.2f}" in results


def sync(place: Path, *folders: Path) -> None:
    """By wandb itself, which leaves its logs in the working folder."""
    words = [WANDB, "sync", "--include-synced", *map(str, folders)]
    subprocess.run(words, check=True, capture_output=True, cwd=place)


def tables_of(place: Path, source: str, runs: Path) -> dict[str, bytes]:
    """The files of a table made from a source."""
    request = Request("1", seeds=1, runs=runs, out=place, train=False, flags=FLAGS, source=source)
    assert make_table(request) == 0
    files = [path for path in place.rglob("*") if path.is_file() and path.name != ".lock"]
    return {str(path.relative_to(place)): path.read_bytes() for path in files}


def test_synchronised_runs_give_the_local_table(
    job: Job, runs: list[Offline], server: WandbServer, tmp_path: Path
) -> None:
    """By ``wandb sync`` itself; a killed run alone does not count."""
    source = f"wandb:{ENTITY}/{PROJECT}"
    *killed, completed = (run.folder for run in runs)
    if killed:
        sync(tmp_path, *killed)
        alone = server.runs.get(job.id)
        assert alone is None or alone.state != "finished"
    nothing = tables_of(tmp_path / "killed", source, tmp_path)
    assert not [name for name in nothing if "records" in name]
    sync(tmp_path, *killed, completed)
    assert server.runs[job.id].state == "finished"
    local = tables_of(tmp_path / "local", "local", job.folder.parent)
    remote = tables_of(tmp_path / "remote", source, tmp_path)
    assert remote == local
    assert f"demo/records/{job.id}.json" in remote


def test_an_online_run(data: Path, server: WandbServer, tmp_path: Path) -> None:
    """Its address is in its record, which is the one that the server has."""
    job = make_job(tmp_path, data / "shapes", "online")
    assert start(job, WANDB_BASE_URL=server.url).wait() == 0
    content = (job.folder / "record.json").read_bytes()
    reference = json.loads(content)["wandb"]
    assert reference["mode"] == "online"
    assert reference["url"] == f"{server.url}/{ENTITY}/{PROJECT}/runs/{job.id}"
    assert server.runs[job.id].state == "finished"
    assert server.runs[job.id].files["record.json"] == content


def test_a_failed_run_is_failed_there_too(data: Path, tmp_path: Path) -> None:
    job = make_job(tmp_path, data / "shapes", "offline")
    path = job.folder / "job.json"
    described = read_json(path)
    described["data"]["splits"]["val"]["images"] = 7
    path.write_text(json.dumps(described))
    assert start(job).wait() == 1
    (run,) = offline_runs(job.folder)
    assert run.exit_code == 1
    assert read_json(job.folder / "record.json")["state"] == "failed"
    assert not (run.folder / "files" / "record.json").exists()


def test_offline_where_the_server_is_gone(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though it answered when the run was planned."""
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    monkeypatch.setenv("WANDB_DATA_DIR", "")  # both are set by the mirror: not for other tests
    monkeypatch.setenv("WANDB_MODE", "offline")
    job = make_job(tmp_path, data / "shapes", "online")
    mirror = Mirror(job.folder, read_json(job.folder / "job.json"))
    assert mirror.reference() == {"id": job.id, "mode": "offline", "url": None}
    mirror.close({"state": "failed"})
    (run,) = offline_runs(job.folder)
    assert run.exit_code == 1


def test_offline_where_the_server_refuses(data: Path, server: WandbServer, tmp_path: Path) -> None:
    """Such as for a wrong key: no reason to lose a run."""
    server.refusing = True
    job = make_job(tmp_path, data / "shapes", "online")
    assert start(job, WANDB_BASE_URL=server.url).wait() == 0
    assert read_json(job.folder / "record.json")["wandb"]["mode"] == "offline"
    (run,) = [run for run in offline_runs(job.folder) if run.exit_code == 0]
    assert (run.folder / "files" / "record.json").is_file()
