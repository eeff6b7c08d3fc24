"""Faults while runs go, and damage to what they left."""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from reproduce.experiments import REPOSITORY
from reproduce.runs.checkpoints import newest
from reproduce.runs.execute import check_tasks, execute
from reproduce.runs.lock import take
from reproduce.runs.record import SCHEMA, read_record, write_record
from tests.conftest import make_voc
from tests.faults.place import Place, wait_for
from tests.faults.registry import case
from tests.tables.examples import make_record

AREA = "While runs go"

#: Steps of a run that is disturbed: long enough to be met.
LONG = 30


@contextlib.contextmanager
def meanwhile(act: Callable[[], object]) -> Iterator[None]:
    """Do something beside the driver."""
    thread = threading.Thread(target=act)
    thread.start()
    yield
    thread.join()


def failure(place: Place, status: int, out: str, failed: int = 1) -> str:
    """The reason that the driver prints; record, table and ``runs show`` must say it too."""
    assert status == 1, out
    lines = [line for line in out.splitlines() if "FAILED, " in line]
    assert len(lines) == failed, out
    reason = lines[0].partition("FAILED, ")[2].partition(" (log: ")[0]
    records = [read_record(folder / "record.json") for folder in place.runs]
    states = sorted(record["state"] for record in records)
    assert states == ["completed"] * (len(records) - failed) + ["failed"] * failed
    record = next(record for record in records if record["state"] == "failed")
    assert any(record["error"] in line for line in lines)
    page = (place.folder / "tables/demo/table1.md").read_text()
    assert f"failed: {record['error']}"[:60].replace("|", "\\|") in page
    _, shown, _ = place.call("runs", "show", record["id"], "--runs", str(place.folder / "runs"))
    assert f"problem    {record['error']}" in shown
    return place.plain(reason)


def left_alone(place: Place, **others: object) -> None:
    """With ``--no-retry`` a failed run is not tried again."""
    logs = {folder: (folder / "log.txt").stat().st_size for folder in place.runs}
    status, out = place.table("--no-retry", **others)
    assert status == 1
    assert "runs to do" not in out
    assert {folder: (folder / "log.txt").stat().st_size for folder in place.runs} == logs


def tried_again(place: Place, **others: object) -> None:
    """The same command completes the table."""
    status, out = place.table(**others)
    assert status == 0, out
    assert "1 of 2 runs to do" in out
    assert {read_record(f / "record.json")["state"] for f in place.runs} == {"completed"}


@case(AREA, "the loss is no longer finite", "the record of the failure; other runs go on")
def not_finite(place: Place) -> str:
    flags = ("--model.init_args.recipe.lr=1.0e+30",)
    message = failure(place, *place.table(flags=flags), failed=2)
    left_alone(place, flags=flags)
    return message


def shortened(message: str) -> str:
    """A reason without the library's own words, which differ by version."""
    return re.sub(r"\(.*\):", "(...):", message)


@case(AREA, "memory does not suffice", "the record of the failure; other runs go on")
def no_memory(place: Place) -> str:
    flags = ("--data.init_args.crop=3000000",)
    return shortened(failure(place, *place.table(flags=flags), failed=2))


@case(AREA, "a process that loads images is killed", "checkpoints; other runs go on")
def loader_killed(place: Place) -> str:
    flags = ("--data.init_args.num_workers=1",)

    def act() -> None:
        wait_for(lambda: any(place.newest_step(folder) for folder in place.runs))
        pid = next(pid for pid in place.processes() if children(pid))
        while pid in place.processes():  # one of them may have read all it had to read
            for child in children(pid):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(child, signal.SIGKILL)
            time.sleep(0.05)

    with meanwhile(act):
        status, out = place.table(flags=flags, steps=LONG)
    message = failure(place, status, out)
    tried_again(place, flags=flags, steps=LONG)
    return shortened(message)  # by where the run was just then


def children(pid: int) -> list[int]:
    """Processes that a process started."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            if int(path.read_text().rpartition(")")[2].split()[1]) == pid:
                found.append(int(path.parent.name))
    return found


@case(AREA, "a JPEG is cut in the middle of training", "checkpoints; other runs go on")
def cut_meanwhile(place: Place) -> str:
    make_voc(place.folder / "shapes", train=24, val=3, classes=7)
    place.data = place.folder / "shapes"
    images = sorted((place.data / "VOC2012/JPEGImages").glob("*train*"))
    whole = {path: path.read_bytes() for path in images[:1]}
    only, flags = "fcn8s*/baseline", ("--data.init_args.cache=false",)

    def act() -> None:
        wait_for(lambda: any(place.newest_step(folder) for folder in place.runs))
        for path, content in whole.items():
            path.write_bytes(content[:300])

    with meanwhile(act):
        status, out = place.table(only=only, flags=flags, steps=LONG)
    message = failure(place, status, out)
    for path, content in whole.items():
        path.write_bytes(content)
    status, out = place.table(only=only, flags=flags, steps=LONG)
    assert status == 0, out
    log = (place.runs[0] / "log.txt").read_text()
    assert "resume: goes on after step" in log
    return message


@case(AREA, "the disk is full", "what was written before; the same command goes on")
def disk_full(place: Place) -> str:
    (place.folder / "runs").mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1600k", "tmpfs", str(place.folder / "runs")]
    if os.getuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("a small tmpfs cannot be mounted here")
    try:
        status, out = place.table(only="fcn8s*/baseline", steps=LONG)
        message = failure(place, status, out)
    finally:
        subprocess.run(["umount", "-l", str(place.folder / "runs")], check=True)
    return shortened(message)


@case(AREA, "a run is killed (SIGKILL)", "checkpoints; other runs go on")
def run_killed(place: Place) -> str:
    def act() -> None:
        wait_for(lambda: any(place.newest_step(folder) for folder in place.runs))
        os.kill(place.processes()[0], signal.SIGKILL)

    with meanwhile(act):
        status, out = place.table(steps=LONG)
    message = failure(place, status, out)
    tried_again(place, steps=LONG)
    return message


@case(AREA, "the driver gets SIGTERM, or Ctrl-C", "checkpoints; its runs are ended too")
def driver_ended(place: Place) -> str:
    def act() -> None:
        wait_for(lambda: any(place.newest_step(folder) for folder in place.runs))
        os.kill(os.getpid(), signal.SIGTERM)

    with meanwhile(act):
        status, _, error = place.call(*place.words(steps=LONG))
    assert status == 130
    assert not place.processes()
    assert not list(place.folder.glob("runs/*/lock.json"))
    return place.plain(error.removeprefix("reproduce: "))


@case(AREA, "another driver executes a run", "its run, whose result is taken")
def rival(place: Place) -> str:
    name = place.call(*place.words("--dry-run", only="fcn8s*/baseline"))[1].split()[0]
    lock = take(place.folder / "runs" / name)
    assert lock is not None

    def act() -> None:
        wait_for((place.folder / "runs" / ".manifests").exists)
        threading.Event().wait(3)
        lock.release()

    with meanwhile(act):
        status, out = place.table(only="fcn8s*/baseline")
    assert status == 0, out
    message = next(line for line in out.splitlines() if line.startswith("waiting for run"))
    return place.plain(message).rpartition(" ")[0] + " HOST"


@case(AREA, "a run that is needed failed", "the record of the failure")
def need_failed(place: Place) -> str:
    runs = place.folder / "runs"
    need = make_record("fcn8s_resnet101", "baseline", 0, 1.0, state="failed", error="no memory")
    write_record(runs / need["id"] / "record.json", need)
    folder = runs / "0123456789ab"
    folder.mkdir()
    job = {"threads": 1, "wandb": "off", "needs": {"checkpoint": need["id"]}, "kind": "evaluation"}
    (folder / "job.json").write_text(json.dumps(job))
    (folder / "config.yaml").write_text("trainer: {}\nevaluation: {}\n")
    return place.refusal(execute, folder)


@case(AREA, "a Slurm job of one task for a run on two devices", "the record of the failure")
def tasks(place: Place) -> str:
    config = {"trainer": {"devices": 2}}
    return place.refusal(check_tasks, config, SLURM_NTASKS="1", SLURM_JOB_NAME="reproduce")


LEFT = "Files of runs"


@case(LEFT, "the newest checkpoint is cut", "the older one, from which the run goes on")
def cut_checkpoint(place: Place) -> str:
    for step in (5, 7):
        torch.save({"global_step": step, "weights": torch.ones(9999)}, checkpoint(place, step))
    path = checkpoint(place, 7)
    path.write_bytes(path.read_bytes()[:20000])
    return resumed(place)


@case(LEFT, "a bit of the newest checkpoint is changed", "the older one")
def changed_checkpoint(place: Place) -> str:
    for step in (5, 7):
        torch.save({"global_step": step, "weights": torch.ones(9999)}, checkpoint(place, step))
    content = bytearray(checkpoint(place, 7).read_bytes())
    content[len(content) // 2] ^= 1
    checkpoint(place, 7).write_bytes(content)
    return resumed(place)


def checkpoint(place: Place, step: int) -> Path:
    return place.folder / f"step-{step}.ckpt"


def resumed(place: Place) -> str:
    """What the log says; the run goes on from step 5."""
    place.capsys.readouterr()
    found = newest(place.folder)
    assert found is not None
    assert found[1]["global_step"] == 5
    assert not checkpoint(place, 7).exists()
    first, second = place.capsys.readouterr().out.splitlines()
    assert second == "resume: goes on after step 5 (step-5.ckpt)"
    return place.plain(first)


def listed(place: Place, content: str) -> str:
    """What ``reproduce runs verify`` says of a run with a damaged record, which stays."""
    path = place.folder / "runs" / "0123456789ab" / "record.json"
    path.parent.mkdir(parents=True)
    path.write_text(content)
    status, out, _ = place.call("runs", "verify", "--runs", str(place.folder / "runs"))
    assert status == 1
    assert path.read_text() == content
    return place.plain(out.splitlines()[0].partition("  ")[2])


@case(LEFT, "`record.json` is cut", "the file; nothing is run over it")
def cut_record(place: Place) -> str:
    return listed(place, '{"schema": 1,')


@case(LEFT, "`record.json` comes from a later version", "the file; nothing is run over it")
def later_record(place: Place) -> str:
    return listed(place, json.dumps({"schema": SCHEMA + 1}))


@case(LEFT, "`record.json` lacks entries", "the file; nothing is run over it")
def lacking_record(place: Place) -> str:
    record = make_record("fcn8s_resnet101", "baseline", 0, 1.0)
    del record["scores"], record["history"]
    return listed(place, json.dumps(record))


@case(LEFT, "a record's configuration was changed by hand", "the file")
def changed_record(place: Place) -> str:
    record = make_record("fcn8s_resnet101", "baseline", 0, 1.0)
    record["config"]["trainer"]["max_steps"] = 9
    return listed(place, json.dumps(record))


@case(LEFT, "a run is executed by hand that is completed", "the record")
def completed_record(place: Place) -> str:
    record = make_record("fcn8s_resnet101", "baseline", 0, 1.0)
    path = place.folder / "runs" / record["id"] / "record.json"
    write_record(path, record)
    before = path.read_bytes()
    message = place.refusal(write_record, path, {**record, "seed": 1})
    assert path.read_bytes() == before
    return message


@case(LEFT, "a committed table was changed by hand", "the page")
def changed_table(place: Place) -> str:
    source, target = REPOSITORY / "tables/demo", place.folder / "demo"
    (target / "records").mkdir(parents=True)
    index = json.loads((source / "table3.json").read_text())
    for name in ("table3.json", "table3.md"):
        shutil.copy(source / name, target / name)
    for name in index["records"].values():
        shutil.copy(source / "records" / f"{name}.json", target / "records")
    page = target / "table3.md"
    page.write_text(page.read_text() + "\n100.00\n")
    return place.mistake("check", "--out", str(place.folder))
