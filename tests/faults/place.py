"""A folder of its own with a small data set, and the command line in it."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from multiprocessing import forkserver
from pathlib import Path
from typing import Any

import pytest
import torch

from reproduce import cli
from reproduce.errors import UserError
from reproduce.files import read_json
from reproduce.runs.checkpoints import saved
from reproduce.runs.lock import owner

#: What differs between two executions of one run, in its record and in a table.
TIMES = ("date", "timing", "hardware")
COLUMNS = ("Time", "Memory", "Date (UTC)")


#: Files of a completed run.
LEFT = {
    *("config.yaml", "job.json", "last.ckpt", "log.txt"),
    *("metrics.csv", "progress", "record.json"),
}


def fresh_server() -> None:
    """End the server that forks runs, so that the next one sees the variables of this test."""
    getattr(forkserver, "_forkserver")._stop()  # noqa: B009 - not in the types


class Place:
    """Runs commands inside this process.

    Args:
        folder: For everything they write.
        data: Data set in the layout of the demo's.
        capsys: What they print.
    """

    def __init__(self, folder: Path, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self.data = data
        self.capsys = capsys

    @property
    def runs(self) -> list[Path]:
        """Folders of the runs."""
        return sorted((self.folder / "runs").glob("[0-9a-f]*"))

    def words(
        self, *options: str, only: str = "fcn8s*", flags: tuple[str, ...] = (), steps: int = 4
    ) -> list[str]:
        """A table of short runs."""
        where = ["--data", str(self.data), "--runs", str(self.folder / "runs")]
        where += ["--out", str(self.folder / "tables"), "--seeds", "1", "--only", only]
        short = [f"--trainer.max_steps={steps}", f"--trainer.val_check_interval={steps // 2}"]
        # There are no checkpoints at steps that are logged.
        short += ["--data.init_args.val_batch_size=1", "--trainer.log_every_n_steps=10"]
        return ["table", "1", *where, "--wandb", "off", *options, "--", *short, *flags]

    def call(self, *words: str) -> tuple[int, str, str]:
        """Exit status, output and errors of a command."""
        self.capsys.readouterr()
        status = cli.main(words)
        out, error = self.capsys.readouterr()
        return status, out, error

    def table(self, *options: str, **others: Any) -> tuple[int, str]:
        """Exit status and output of :meth:`words`."""
        status, out, error = self.call(*self.words(*options, **others))
        return status, out + error

    def mistake(self, *words: str) -> str:
        """The one line that a user sees, who made a mistake."""
        status, _, error = self.call(*words)
        assert status == 2, error
        assert error.count("\n") == 1, error
        assert error.startswith("reproduce: "), error
        return self.plain(error.removeprefix("reproduce: "))

    def refusal(self, call: Callable[..., object], *arguments: object, **variables: str) -> str:
        """The message of a function that finds a mistake of the user, in an environment."""
        with pytest.MonkeyPatch.context() as patch:
            for name, value in variables.items():
                patch.setenv(name, value)
            with pytest.raises(UserError) as caught:
                call(*arguments)
        return self.plain(str(caught.value))

    def plain(self, text: str) -> str:
        """A message without what differs from call to call and place to place."""
        for path in (self.folder, self.data.parent, Path.cwd()):
            text = text.replace(f"{path}/", "").replace(str(path), ".")
        text = re.sub(r"\b[0-9a-f]{12}\b", "RUN", text)
        return " ".join(re.sub(r"\b(pid|process|pid\(s\)) \d+", r"\1 N", text).split())

    def driver(self, **others: Any) -> subprocess.Popen[str]:
        """The same table by a process of its own."""
        return subprocess.Popen(
            [sys.executable, "-m", "reproduce", *self.words(**others)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "REPRODUCE_CHECKPOINT_SECONDS": "0"},
        )

    def processes(self) -> list[int]:
        """Processes that execute runs now."""
        held = [owner(folder) for folder in self.runs]
        return [found.pid for found in held if found is not None and found.pid != os.getpid()]

    @staticmethod
    def newest_step(folder: Path) -> int:
        """Step of a run's newest checkpoint, 0 if it has none."""
        found = saved(folder)
        return int(found[0].stem.removeprefix("step-")) if found else 0

    def results(self) -> dict[str, Any]:
        """Weights, optimisers, records without times and the table without times."""
        found: dict[str, Any] = {"table": timeless(self.folder / "tables/demo/table1.md")}
        for folder in self.runs:
            record = read_json(folder / "record.json")
            found[folder.name] = {k: v for k, v in record.items() if k not in TIMES}
            content = torch.load(folder / "last.ckpt", weights_only=True)
            for part in ("state_dict", "optimizer_states", "lr_schedulers"):
                found[folder.name][part] = content[part]
            found[folder.name]["metrics"] = (folder / "metrics.csv").read_text()
            names = {path.name for path in folder.iterdir()}
            expected = {
                "config.yaml",
                "job.json",
                "last.ckpt",
                "log.txt",
                "metrics.csv",
                "progress",
            }
            assert names == {*expected, "record.json"}
        return found


def timeless(path: Path) -> str:
    """A table's Markdown without the columns that tell times and memory."""
    lines, drop = [], set[int]()
    for line in path.read_text(encoding="utf-8").splitlines():
        cells = line.split("|")
        if cells[1].strip() == "Run" if len(cells) > 1 else False:
            drop = {i for i, cell in enumerate(cells) if cell.strip() in COLUMNS}
        lines.append("|".join(cell for i, cell in enumerate(cells) if i not in drop))
    return "\n".join(lines)


def same(first: Any, second: Any) -> bool:
    """Whether two results are equal to the last bit."""
    if isinstance(first, torch.Tensor):
        return isinstance(second, torch.Tensor) and torch.equal(first, second)
    if isinstance(first, dict):
        return first.keys() == second.keys() and all(same(v, second[k]) for k, v in first.items())
    if isinstance(first, (list, tuple)):
        pairs = zip(first, second, strict=True)
        return len(first) == len(second) and all(same(a, b) for a, b in pairs)
    return bool(first == second or (first != first and second != second))  # noqa: PLR0124 - nan


def wait_for(condition: Callable[[], object], seconds: float = 300) -> None:
    """Look until something is so."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)
