"""Whatever is killed or damaged, the same command goes on to what an undisturbed one gives."""

import contextlib
import os
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from reproduce import cli
from reproduce.runs.checkpoints import saved
from reproduce.runs.lock import owner
from tests.faults.place import Place, same, wait_for

#: Steps of the two trainings of these tables.
STEPS = 120


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, data: Path) -> dict[str, Any]:
    """What a driver gives that nobody disturbs."""
    place = Place(tmp_path_factory.mktemp("undisturbed"), data, None)  # type: ignore[arg-type]
    assert cli.main(place.words(steps=STEPS)) == 0
    return place.results()


def newest_steps(place: Place) -> dict[Path, int]:
    """Step of the newest checkpoint of every run that is not finished."""
    return {
        folder: step
        for folder in place.runs
        if not (folder / "last.ckpt").exists() and (step := place.newest_step(folder))
    }


@contextlib.contextmanager
def going_on(place: Place) -> Iterator[None]:
    """Check that no run begins anew which has a checkpoint."""
    before = {}
    for folder, step in newest_steps(place).items():
        before[folder] = (step, (folder / "log.txt").stat().st_size)
    yield
    for folder, (step, size) in before.items():
        log = (folder / "log.txt").read_bytes()[size:].decode(errors="replace")
        if log.strip():  # else it was killed before it looked
            assert f"resume: goes on after step {step} " in log, log


def kill(pids: list[int], number: int = signal.SIGKILL) -> int:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
    return len(pids)


class Killer(threading.Thread):
    """Kills one run again and again: while it starts, or when it has come to some step.

    Args:
        place: Where the run is.
        which: Its number in the order of names.
        seed: Of the moments.
    """

    def __init__(self, place: Place, which: int, seed: int) -> None:
        super().__init__(daemon=True)
        self.place = place
        self.which = which
        self.kills = 0
        chosen = random.Random(seed)
        steps = sorted(chosen.sample(range(2, STEPS // 2), 5))
        self.moments: list[tuple[int, float]] = [(step, chosen.uniform(0, 0.03)) for step in steps]
        for _ in range(3):
            self.moments.insert(chosen.randrange(6), (0, chosen.uniform(0, 1.5)))

    def run(self) -> None:
        for step, seconds in self.moments:
            wait_for(lambda: len(self.place.runs) > self.which)
            folder = self.place.runs[self.which]
            wait_for(lambda: self._process(folder))  # noqa: B023
            pid = self._process(folder)
            wait_for(lambda: not step or self.place.newest_step(folder) >= step)  # noqa: B023
            time.sleep(seconds)
            if pid == self._process(folder):
                self.kills += kill([pid])
            wait_for(lambda: self._process(folder) != pid)  # noqa: B023

    def _process(self, folder: Path) -> int:
        held = owner(folder)
        return 0 if held is None or held.pid == os.getpid() else held.pid


def test_runs_killed_at_random(place: Place, undisturbed: dict[str, Any]) -> None:
    """Sixteen times, eight times each of the two."""
    killers = [Killer(place, which, seed=6 + which) for which in range(2)]
    for killer in killers:
        killer.start()
    for _ in range(20):
        with going_on(place):
            status, out = place.table(steps=STEPS)
        if status == 0:
            break
        assert "killed by SIGKILL" in out
    assert status == 0, out
    assert [killer.kills for killer in killers] == [8, 8]
    assert same(place.results(), undisturbed)


def test_drivers_killed_at_random(place: Place, undisturbed: dict[str, Any]) -> None:
    """Four times, twice with all their runs; then two drivers at once finish."""
    chosen = random.Random(7)
    steps = sorted(chosen.sample(range(2, STEPS // 2), 3))
    for both, step in zip((False, True, False, True), (0, *steps), strict=True):
        driver = place.driver(steps=STEPS)
        wait_for(place.processes)
        wait_for(lambda: max(map(place.newest_step, place.runs)) >= step)  # noqa: B023
        time.sleep(chosen.uniform(0, 0.03 if step else 1.0))
        assert driver.poll() is None, driver.communicate()
        going = place.processes() if both else []
        driver.kill()
        kill(going)
        driver.wait()
        wait_for(lambda: not place.processes())
    rival = place.driver(steps=STEPS)
    with going_on(place):
        status, out = place.table(steps=STEPS)
    other, _ = rival.communicate(timeout=300)
    assert (status, rival.returncode) == (0, 0), out + other
    assert same(place.results(), undisturbed)
    for folder in place.runs:
        assert (folder / "log.txt").read_text().count('{"state": "completed"}') == 1


def test_sigterm(place: Place, undisturbed: dict[str, Any]) -> None:
    """A run ends between two steps; a driver ends its runs and says how to go on."""

    def killer() -> None:
        wait_for(lambda: newest_steps(place) and place.processes())
        kill(place.processes()[:1], signal.SIGTERM)

    thread = threading.Thread(target=killer)
    thread.start()
    status, out = place.table(steps=STEPS, only="fcn8s*/baseline")
    thread.join()
    assert status == 1
    assert "ended from outside: killed by SIGTERM" in out
    driver = place.driver(steps=STEPS)
    wait_for(lambda: len(newest_steps(place)) == 2)
    driver.terminate()
    out, _ = driver.communicate(timeout=300)
    assert driver.returncode == 130, out
    assert out.endswith("reproduce: interrupted; the same command goes on\n")
    assert not place.processes()
    with going_on(place):
        status, out = place.table(steps=STEPS)
    assert status == 0, out
    assert same(place.results(), undisturbed)


def truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def flip(path: Path) -> None:
    """One bit in the middle, in the weights."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def empty(path: Path) -> None:
    path.write_bytes(b"")


def garbage(path: Path) -> None:
    path.write_bytes(b"\x00\xff{,\n\x00" * 9)


Spoilers = tuple[Callable[[Path], None], Callable[[Path], None]]


def killed_when(place: Place, condition: Callable[[], object]) -> None:
    """Begin the table and kill its runs at a moment."""

    def killer() -> None:
        wait_for(condition)
        kill(place.processes())

    thread = threading.Thread(target=killer)
    thread.start()
    status, _ = place.table(steps=STEPS)
    thread.join()
    assert status == 1


@pytest.mark.parametrize("spoilers", [(truncate, flip), (empty, garbage)])
def test_damaged_checkpoints(spoilers: Spoilers, place: Place, undisturbed: dict[str, Any]) -> None:
    """The newest one, and small files that are written anew."""
    killed_when(place, lambda: [len(saved(folder)) for folder in place.runs] == [2, 2])
    names = {folder: [path.name for path in saved(folder)] for folder in place.runs}
    for spoil, folder in zip(spoilers, place.runs, strict=True):
        for path in (saved(folder)[0], folder / "progress", folder / "config.yaml"):
            spoil(path)
    status, out = place.table(steps=STEPS)
    assert status == 0, out
    assert same(place.results(), undisturbed)
    for folder, (newest, older) in names.items():
        log = (folder / "log.txt").read_text()
        assert f"resume: {newest} is damaged" in log
        assert f"({older})" in log


@pytest.mark.parametrize("name", ["job.json", "metrics.csv", "record.json"])
def test_damaged_logs(name: str, place: Place, undisturbed: dict[str, Any]) -> None:
    """A run's description, its curves, and its record, which the user alone removes."""
    known = name == "record.json"  # written when the run is found dead

    def ready() -> bool:
        begun = len(newest_steps(place)) == 2
        return begun and (known or all((folder / name).exists() for folder in place.runs))

    killed_when(place, ready)
    paths = [folder / name for folder in place.runs]
    for spoil, path in zip((truncate, garbage), paths, strict=True):
        spoil(path)
    if name == "record.json":
        before = [path.read_bytes() for path in paths]
        status, out = place.table(steps=STEPS)
        assert status == 1
        assert all(f"{path} cannot be read" in out for path in paths), out
        assert [path.read_bytes() for path in paths] == before
        for path in paths:
            path.unlink()
    status, out = place.table(steps=STEPS)
    assert status == 0, out
    found = place.results()
    for folder in place.runs if name == "metrics.csv" else ():
        # What was lost of the file is lost; the record's own curves are whole.
        found[folder.name]["metrics"] = undisturbed[folder.name]["metrics"]
    assert same(found, undisturbed)
