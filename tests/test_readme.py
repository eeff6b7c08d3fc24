"""Every command, block and link of the documents, and the Makefile."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from reproduce.experiments import REPOSITORY

README = (REPOSITORY / "README.md").read_text(encoding="utf-8")
DOCUMENTS = [
    *REPOSITORY.glob("*.md"),
    *REPOSITORY.glob("docs/*.md"),
    *REPOSITORY.glob("tables/**/*.md"),
]


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


#: Run elsewhere in the tests under these names, because they take long or run these tests.
ELSEWHERE = {
    "make table1": "test_cli.py::test_a_table_from_nothing",
    "make table2": "test_experiments.py::test_cells_run",
    "make table3": "test_experiments.py::test_cells_run",
    **{
        f"make {name}": "test_experiments.py::test_other_cells_run and runs/test_evaluate.py"
        for name in ("table4", "table5", "details", "heaviside", "curves", "overhead", "ablations")
    },
    "make claims": "report/test_reproduction.py",
    "make report": "report/test_page.py",
    "make figures": "figures/test_command.py",
    "make test": "this very run",
}


def commands() -> list[str]:
    lines = "".join(blocks("console")).splitlines()
    return [line.split("  #")[0].strip() for line in lines if line.strip()]


@pytest.mark.parametrize("block", blocks("python"))
def test_python_blocks_run(block: str) -> None:
    code = "import warnings; warnings.filterwarnings('ignore')\n" + block
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_callback_block_trains_a_foreign_module() -> None:
    """The README's module, with the README's callback, one epoch of random images."""
    block = next(b for b in blocks("python") if "LevelSetCallback" in b)
    data = (
        "torch.manual_seed(0)\n"
        "data = [(torch.randn(3, 16, 16), torch.randint(0, 21, (16, 16))) for _ in range(4)]\n"
        "trainer.fit(YourModule(), torch.utils.data.DataLoader(data, batch_size=2))\n"
        "assert trainer.global_step == 2\n"
    )
    quiet = block.replace("max_epochs=1", "max_epochs=1, logger=False, enable_checkpointing=False")
    done = subprocess.run(
        [sys.executable, "-c", quiet + data], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("command", sorted(set(commands()) - set(ELSEWHERE)))
def test_commands_run(command: str, tmp_path: Path) -> None:
    words = command.replace(".venv/bin/reproduce", f"{sys.executable} -m reproduce").split()
    if words[0] == sys.executable and "table" in words:
        words += ["--runs", str(tmp_path)]
    done = subprocess.run(words, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout


@pytest.mark.parametrize("command", sorted(set(commands()) & set(ELSEWHERE)))
def test_long_commands_are_targets(command: str) -> None:
    done = subprocess.run(
        ["make", "-n", *command.split()[1:]],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda p: str(p.relative_to(REPOSITORY)))
def test_relative_links_resolve(path: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", path.read_text(encoding="utf-8")):
        if not target.startswith(("http://", "https://")):
            assert (path.parent / target).exists(), f"{path.name} links to {target}"


def test_readme_is_short() -> None:
    assert len(README.splitlines()) <= 200


def test_help_lists_every_target() -> None:
    makefile = (REPOSITORY / "Makefile").read_text()
    phony = " ".join(re.findall(r"^\.PHONY: (.*)$", makefile, re.MULTILINE))
    tables = re.search(r"^TABLES := (.*)$", makefile, re.MULTILINE)
    assert tables is not None
    targets = phony.replace("$(TABLES)", tables[1]).split()
    shown = subprocess.run(
        ["make", "help"], cwd=REPOSITORY, capture_output=True, text=True, check=True
    ).stdout
    for target in targets:
        assert re.search(rf"^  make {target} ", shown, re.MULTILINE), target


def test_variables_become_options() -> None:
    words = ["table1", "SCALE=lite", "SEEDS=2", "DATA=/d", "RUNS=/r", "ARGS=--trainer.devices=2"]
    done = subprocess.run(
        ["make", "-n", *words], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    command = " ".join(done.stdout.split())
    expected = (
        "reproduce table table1 --scale lite --seeds 2 --runs /r --launcher local --wandb auto "
        "--data /d -- --trainer.devices=2"
    )
    assert expected in command


@pytest.fixture
def bare(tmp_path: Path) -> tuple[Path, Path]:
    """A checkout without .venv and a PATH without a compiler."""
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("bash", "sh", "make", "awk", "df", "touch", "grep", "cat", "python3"):
        found = shutil.which(name)
        if found is not None:
            target = sys.executable if name == "python3" else found
            (tools / name).write_text(f'#!/bin/sh\nexec {target} "$@"\n')
            (tools / name).chmod(0o755)
    place = tmp_path / "checkout"
    place.mkdir()
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(REPOSITORY / name, place / name)
    return place, tools


def setup(place: Path, tools: Path, *words: str) -> str:
    done = subprocess.run(
        ["make", "setup", *words],
        cwd=place,
        env={"PATH": str(tools), "HOME": os.environ.get("HOME", "/")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert not (place / ".venv").exists()
    lines = [line for line in done.stderr.splitlines() if not line.startswith("make: ***")]
    assert len(lines) == 1, done.stderr
    return lines[0]


def test_no_compiler(bare: tuple[Path, Path]) -> None:
    assert "no C++ compiler found, pydensecrf2 needs one: install g++" in setup(*bare)


def test_no_python(bare: tuple[Path, Path]) -> None:
    assert "no python9 found: install Python 3.11" in setup(*bare, "PYTHON=python9")


def test_old_python(bare: tuple[Path, Path]) -> None:
    place, tools = bare
    old = tools / "python-old"
    old.write_text('#!/bin/sh\n[ "$1" = --version ] && echo Python 3.8.1\nexit 1\n')
    old.chmod(0o755)
    assert "Python 3.8.1 is too old: Python 3.11 or later" in setup(
        place, tools, "PYTHON=python-old"
    )


def test_full_disk(bare: tuple[Path, Path]) -> None:
    place, tools = bare
    for name, text in (("g++", "exit 0"), ("df", "echo head; echo x 1 1 100 1 /")):
        (tools / name).write_text(f"#!/bin/sh\n{text}\n")
        (tools / name).chmod(0o755)
    assert "less than 8 GB free here" in setup(place, tools)


def test_constraints_name_versions_only() -> None:
    for line in (REPOSITORY / "constraints.txt").read_text().splitlines():
        assert re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9._]+", line), line


def test_no_paths_of_a_machine() -> None:
    """No record, table or document names a folder of the machine it was made on."""
    files = [*REPOSITORY.glob("tables/**/*.*"), *DOCUMENTS]
    files = [path for path in files if path.suffix != ".png"]
    assert files
    for path in files:
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"(?<![\w.])/(home|root|work|tmp|Users)/", text), path
