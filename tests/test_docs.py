"""Every command of every document: it exists as it is written, and a test runs it."""

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from reproduce.arguments import LIGHTNING_COMMANDS, build_parser, parse
from reproduce.errors import UserError
from reproduce.experiments import REPOSITORY, read_table

PAGES = [*REPOSITORY.glob("*.md"), *REPOSITORY.glob("docs/*.md")]

#: Commands in blocks of docs/ and CONTRIBUTING.md -> the test that runs them; those of the README
#: stand in test_readme.py.
RUN_BY = {
    "make setup": "test_readme.py::test_no_compiler",  # else the installation itself, .ci/run
    "make check": "tables/test_driver.py::test_committed_tables_are_what_their_records_give",
    "make test": "test_docs.py::test_each_block_command_names_its_test",  # this very run
    'make table1 SCALE=paper DATA=/data ARGS="--trainer.devices=2 --trainer.strategy=ddp"': (
        "runs/test_parallel.py::test_two_processes_give_what_one_gives"
    ),
    'make table1 SCALE=paper DATA=/data LAUNCHER=slurm ARGS="--slurm.partition=gpu '
    '--slurm.gres=gpu:1"': "runs/test_slurm.py::test_a_real_cluster",
    "make data-voc DATA=data": "data/test_prepare.py::test_voc_and_sbd",
    "reproduce data verify voc --data data": "data/test_verify.py::test_command",
    "reproduce table cells --data FOLDER --dry-run": "test_docs_experiments.py::"
    "test_the_commands_of_the_page",
    "reproduce table cells --data FOLDER": "test_docs_experiments.py::"
    "test_the_driver_runs_all_of_them",
    "reproduce segment --checkpoint runs/ID --allow hypercolumns --allow cells PICTURES "
    "--out DIR": "test_docs_experiments.py::test_the_commands_of_the_page",
    "make bench": "bench/test_loss.py::test_pages",
    "make overhead": "bench/test_step.py::test_the_run",
    "reproduce bench loss --shape 10,21,321,321": "test_cli.py::test_bench",
    "reproduce segment --checkpoint runs/ID PICTURE_OR_FOLDER... --out DIR": "segment/test_run.py::"
    "test_odd_pictures",
}


def block_commands(text: str) -> list[str]:
    """Lines of console blocks without what stands behind two blanks and a #."""
    lines = "".join(re.findall(r"```console\n(.*?)```", text, re.DOTALL)).splitlines()
    return [line.split("  #")[0].strip() for line in lines if line.strip()]


def inline_commands(text: str) -> list[str]:
    """Commands between backticks in running text."""
    prose = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    spans = (" ".join(span.split()) for span in re.findall(r"`([^`]+)`", prose))
    return [span for span in spans if re.match(r"(make|reproduce|\.venv/bin/reproduce) \S", span)]


def commands_of(*programs: str) -> Iterator[str]:
    """All but those of faults.md, which are mistakes: its cases run them."""
    for path in PAGES:
        if path.name == "faults.md":
            continue
        text = path.read_text(encoding="utf-8")
        for command in (*block_commands(text), *inline_commands(text)):
            if command.split()[0].removeprefix(".venv/bin/") in programs:
                yield command


def docs_blocks() -> set[str]:
    pages = [path for path in PAGES if path.name != "README.md"]
    return {c for path in pages for c in block_commands(path.read_text(encoding="utf-8"))}


def test_each_block_command_names_its_test() -> None:
    assert docs_blocks() == set(RUN_BY)
    for place in RUN_BY.values():
        file, _, name = place.partition("::")
        source = (REPOSITORY / "tests" / file).read_text(encoding="utf-8")
        assert re.search(rf"^def {name}\(", source, re.MULTILINE), place


@pytest.mark.parametrize("command", sorted(set(commands_of("reproduce"))))
def test_reproduce_understands(command: str) -> None:
    """All of its words, of alternatives the first; running text may leave the last ones out."""
    words = [word.partition("|")[0] for word in command.partition(" -- ")[0].split()[1:]]
    assert words[0] in build_parser()[1]
    if words[0] in LIGHTNING_COMMANDS:
        return
    missing = ""
    try:
        parse(words)
    except UserError as error:
        missing = str(error)
    assert not missing or "the following arguments are required" in missing


@pytest.mark.parametrize("command", sorted(set(commands_of("make"))))
def test_make_has_the_target(command: str) -> None:
    line = command if command != "make cells" else "make help"  # a table of the reader's
    done = subprocess.run(
        ["bash", "-c", line.replace("make ", "make -n ", 1)],
        cwd=REPOSITORY,
        env={**os.environ, "MAKEFLAGS": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def pages_of_tables() -> list[Path]:
    return sorted(REPOSITORY.glob("tables/*/*.md"))


@pytest.mark.parametrize("page", pages_of_tables(), ids=lambda p: f"{p.parent.name}/{p.stem}")
def test_commands_of_runs_name_cells(page: Path) -> None:
    """The command beside each run of a table leads to a cell that exists."""
    commands = set(
        re.findall(r"`reproduce table (\S+) --scale (\S+) --only (\S+)`", page.read_text())
    )
    assert commands
    for name, scale, cell in commands:
        assert len(list(read_table(name, scale).cells(cell))) == 1


def anchors(path: Path) -> set[str]:
    """Anchors of a page's headings, as GitHub makes them."""
    text = re.sub(r"```.*?```", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.stem)
def test_anchors_resolve(page: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]*\.md)?#([^)\s]+)\)", page.read_text(encoding="utf-8"))
    for target, anchor in links:
        assert anchor in anchors(page.parent / target if target else page), f"{target}#{anchor}"
