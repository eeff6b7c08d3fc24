"""The command line as a user meets it, in processes of its own."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from reproduce.runs.lock import owner
from tests.conftest import make_voc

#: A few steps of the demo.
FLAGS = ["--", "--trainer.max_steps=4", "--trainer.val_check_interval=2"]


def reproduce(*words: str, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "reproduce", *words],
        capture_output=True,
        text=True,
        check=False,
        **options,
    )


def one_line(done: subprocess.CompletedProcess[str], pattern: str) -> None:
    """The user's mistake: status 2, one line, no traceback."""
    assert done.returncode == 2, done.stderr
    line = done.stderr.strip()
    assert "\n" not in line
    assert line.startswith("reproduce: ")
    assert re.search(pattern, line), line


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("work")
    make_voc(folder / "shapes", train=10, val=3, classes=7)
    return folder


def table(place: Path, *words: str, flags: list[str] = FLAGS) -> list[str]:
    where = ["--data", str(place / "shapes"), "--runs", str(place / "runs")]
    small = ["--data.init_args.val_batch_size=1"]
    return ["table", "1", *where, "--out", str(place / "tables"), *words, *flags, *small]


def test_help_is_quick() -> None:
    times = []
    for _ in range(3):
        start = time.perf_counter()
        assert reproduce("--help").returncode == 0
        times.append(time.perf_counter() - start)
    assert min(times) < 2


@pytest.fixture(scope="module")
def first(place: Path) -> subprocess.CompletedProcess[str]:
    return reproduce(*table(place, "--seeds", "2", "--only", "fcn32s*", "--wandb", "offline"))


def test_a_table_from_nothing(first: subprocess.CompletedProcess[str], place: Path) -> None:
    assert first.returncode == 0, first.stderr
    page = (place / "tables" / "demo" / "table1.md").read_text()
    assert page in first.stdout
    line = next(line for line in page.splitlines() if line.startswith("| FCN-32s"))
    assert re.match(r"\| FCN-32s-ResNet101 \| \d+\.\d\d ± \d+\.\d\d \| 65.1 \| – \| – \|", line)
    folders = [p for p in (place / "runs").iterdir() if not p.name.startswith(".")]
    assert len(folders) == 4
    for folder in folders:
        names = {p.name for p in folder.iterdir()}
        wanted = {"record.json", "config.yaml", "metrics.csv", "log.txt", "last.ckpt", "wandb"}
        assert wanted <= names
        record = json.loads((folder / "record.json").read_text())
        assert (place / "tables/demo/records" / f"{folder.name}.json").exists()
        assert record["timing"]["steps"] == 4
        assert [entry["step"] for entry in record["history"]] == [2, 4]
        assert len(record["image_iou"]) == 3
        valid = record["data"]["splits"]["val"]["valid_pixels"]
        assert sum(map(sum, record["confusion"])) == valid
        assert list((folder / "wandb").glob("offline-run-*/*.wandb"))
        assert str(place) not in json.dumps(record)


@pytest.mark.usefixtures("first")
def test_pairs_share_initial_weights_and_seeds_do_not(place: Path) -> None:
    initial: dict[int, set[str]] = {0: set(), 1: set()}
    for path in (place / "runs").glob("*/record.json"):
        record = json.loads(path.read_text())
        initial[record["seed"]].add(record["weights"]["initial"])
    assert [len(v) for v in initial.values()] == [1, 1]
    assert initial[0] != initial[1]


@pytest.mark.usefixtures("first")
def test_a_second_call_trains_nothing(place: Path) -> None:
    before = {p: p.stat().st_mtime_ns for p in (place / "runs").glob("*/record.json")}
    page = (place / "tables" / "demo" / "table1.md").read_bytes()
    start = time.perf_counter()
    done = reproduce(*table(place, "--seeds", "2", "--only", "fcn32s*"))
    assert done.returncode == 0
    assert time.perf_counter() - start < 15
    assert "runs to do" not in done.stdout
    assert {p: p.stat().st_mtime_ns for p in before} == before
    assert (place / "tables" / "demo" / "table1.md").read_bytes() == page


@pytest.mark.usefixtures("first")
def test_runs_are_listed_and_sound(place: Path) -> None:
    runs = str(place / "runs")
    listing = reproduce("runs", "list", "--runs", runs)
    assert listing.stdout.count("completed") == 4
    name = listing.stdout.split()[0]
    assert "mIoU" in reproduce("runs", "show", name, "--runs", runs).stdout
    sound = reproduce("runs", "verify", "--runs", runs)
    assert "4 of 4 runs are sound" in sound.stdout


def test_unusable_and_failed_runs_stop_no_other(tmp_path: Path) -> None:
    """A record of the future is kept, a diverging run is recorded, the rest completes."""
    here = tmp_path / "work"
    here.mkdir()
    make_voc(here / "shapes", train=10, val=3, classes=7)
    cells = "fcn32s*/*"
    plan = reproduce(*table(here, "--seeds", "1", "--only", cells, "--dry-run")).stdout.split("\n")
    future = here / "runs" / plan[0].split()[0] / "record.json"
    future.parent.mkdir(parents=True)
    future.write_text('{"schema": 99}')
    done = reproduce(*table(here, "--seeds", "1", "--only", cells, "--wandb", "off"))
    assert done.returncode == 1
    assert "has schema 99, this version reads up to 1" in done.stderr
    assert future.read_text() == '{"schema": 99}'
    page = (here / "tables/demo/table1.md").read_text()
    assert "unreadable" in page
    assert plan[1].split()[0] in page

    diverge = [*FLAGS, "--model.init_args.recipe.lr=1.0e+30"]
    done = reproduce(
        *table(here, "--seeds", "1", "--only", "fcn8s*", "--wandb", "off", flags=diverge)
    )
    assert done.returncode == 1
    assert "FAILED, RuntimeError: the loss is" in done.stdout
    assert "failed: RuntimeError: the loss is" in (here / "tables/demo/table1.md").read_text()


def test_a_killed_run_is_recorded_and_done_again(place: Path, tmp_path: Path) -> None:
    long = ["--", "--trainer.max_steps=60", "--trainer.val_check_interval=60"]
    here = tmp_path / "work"
    here.mkdir()
    (here / "shapes").symlink_to(place / "shapes")
    words = table(here, "--seeds", "1", "--only", "fcn32s*", "--wandb", "off", flags=long)
    process = subprocess.Popen(
        [sys.executable, "-m", "reproduce", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    deadline = time.monotonic() + 120
    pids = {process.pid}
    while pids <= {process.pid} and time.monotonic() < deadline:
        time.sleep(0.1)
        held = [owner(folder) for folder in (here / "runs").glob("[0-9a-f]*")]
        pids = {found.pid for found in held if found is not None}
    os.kill((pids - {process.pid}).pop(), signal.SIGKILL)
    out, _ = process.communicate(timeout=120)
    assert process.returncode == 1, out
    assert "killed by SIGKILL" in out
    again = reproduce(*words)
    assert again.returncode == 0, again.stderr
    assert "1 of 2 runs to do" in again.stdout


def test_two_devices(tmp_path: Path) -> None:
    """Both processes together see every image once; the identity is that of one device."""
    make_voc(tmp_path / "shapes", train=10, val=3, classes=7)
    ddp = [*FLAGS, "--trainer.devices=2", "--trainer.strategy=ddp"]
    only = ["--seeds", "1", "--only", "fcn32s*/level_set", "--wandb", "off"]
    done = reproduce(*table(tmp_path, *only, flags=ddp))
    assert done.returncode == 0, done.stdout
    (path,) = (tmp_path / "runs").glob("*/record.json")
    record = json.loads(path.read_text())
    assert record["hardware"]["devices"] == 2
    assert len(record["image_iou"]) == 3
    alone = reproduce(*table(tmp_path, *only, "--dry-run"))
    assert path.parent.name in alone.stdout


@pytest.mark.parametrize(
    ("words", "pattern"),
    [
        (["table", "9"], "unknown table 'table9': expected one of ablations, curves"),
        (["table", "1", "--seeds", "0"], "expected at least 1 seed, got 0"),
        (["table", "1", "--only", "fcn64"], "matches nothing in table1: expected"),
        (["table", "1", "--scale", "lite"], "no data: name the folder of voc with DATA="),
        (["table", "1", "--scale", "lite", "--data", "/none"], "expected a VOC root"),
        (["table", "1", "--dry-run", "--", "--devices=2"], "expected a Lightning flag"),
        (["config", "table1/fcn32s"], "matches nothing"),
        (["config", "fcn32s"], "expected TABLE/ROW/COLUMN"),
        (["runs", "show"], "expected the id of a run"),
        (["data", "verify", "imagenet"], "unknown data 'imagenet': expected one of voc, shapes"),
        (["data", "verify", "voc", "--data", "/none"], "expected a VOC root"),
        (
            ["table", "1", "--sceds", "1"],
            r"--sceds 1 \(did you mean --seeds\?\): see reproduce table --help",
        ),
        (["claims", "--table=x"], r"--table=x \(did you mean --tables\?\): see reproduce claims"),
        (["claims", "--seeds", "1"], r"--seeds 1: see reproduce claims"),  # another's option
        (["fit", "--trainer.max_stepps=3"], "max_stepps"),
        (["fit", "--config", "nowhere.yaml"], "nowhere.yaml"),
    ],
)
def test_mistakes(words: list[str], pattern: str, tmp_path: Path) -> None:
    extra = (
        ["--out", str(tmp_path), "--runs", str(tmp_path / "runs")] if words[0] == "table" else []
    )
    cut = words.index("--") if "--" in words else len(words)
    one_line(reproduce(*words[:cut], *extra, *words[cut:]), pattern)


def test_unwritable_runs(place: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    words = table(place, "--seeds", "1", "--only", "fcn8s*")
    words[words.index("--runs") + 1] = str(tmp_path / "file" / "runs")
    one_line(reproduce(*words), r"file/runs cannot be written .* with RUNS=")


def test_misspelt_option_of_a_run(place: Path, tmp_path: Path) -> None:
    words = table(place, "--seeds", "1", "--only", "fcn8s*")
    words[words.index("--runs") + 1] = str(tmp_path / "runs")
    one_line(reproduce(*words, "--model.init_args.trunc=thin"), "Option 'trunc' is not accepted")
    assert not list(tmp_path.glob("runs/*/log.txt"))


def test_a_damaged_image_is_named_before_anything_runs(tmp_path: Path) -> None:
    make_voc(tmp_path / "shapes", classes=7)
    image = tmp_path / "shapes/VOC2012/JPEGImages/2007_train001.jpg"
    image.write_bytes(image.read_bytes()[:300])
    one_line(reproduce(*table(tmp_path, "--only", "fcn8s*")), "train001.jpg cannot be decoded")
    assert not list((tmp_path / "runs").glob("*/record.json"))


def test_config_drives_lightning_cli(place: Path, tmp_path: Path) -> None:
    cell = "table1/fcn32s_resnet101/level_set"
    printed = reproduce("config", cell, "--data", str(place / "shapes"))
    config = yaml.safe_load(printed.stdout)
    assert config["model"]["init_args"]["stride"] == 32
    path = tmp_path / "cell.yaml"
    path.write_text(printed.stdout)
    fast = ["--trainer.fast_dev_run=true", "--data.init_args.val_batch_size=1"]
    for command in ("fit", "validate"):
        done = reproduce(command, "--config", str(path), *fast, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    assert "val/miou" in done.stdout


def test_bench(tmp_path: Path) -> None:
    words = ["--shape", "2,5,32,32", "--rounds", "2", "--out", str(tmp_path)]
    done = reproduce("bench", "loss", *words)
    assert "| CE + LS, fused |" in done.stdout
    (shape,) = json.loads((tmp_path / "bench_loss.json").read_text())["shapes"]
    assert shape["shape"] == [2, 5, 32, 32]
    assert shape["losses"][0]["ratio"] == 1
    assert all(entry["peak_bytes"] > 0 for entry in shape["losses"] if entry["rounds"])
    wrong = reproduce("bench", "loss", "--shape", "2,5")
    assert wrong.returncode == 2
    one_line(reproduce("bench", "crf", "--shape", "2,5,8,8"), "bench crf takes no --shape")
    one_line(reproduce("bench", "step", "--rounds", "0"), "expected at least 1 round, got 0")
