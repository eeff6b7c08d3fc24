"""``docs/faults.md`` is what users see: every row of it is provoked here.

``REPRODUCE_FAULTS=1 pytest -n 0 tests/faults/test_cases.py`` writes the document anew.
"""

import os
from collections.abc import Iterator
from itertools import groupby

import pytest

from reproduce.experiments import REPOSITORY
from tests.faults import cases
from tests.faults.place import Place
from tests.faults.registry import CASES, NOTHING, Case

DOCUMENT = REPOSITORY / "docs" / "faults.md"

HEAD = """\
# Mistakes and faults

What was done, what the user then sees, and what is kept. Every line is provoked by
`tests/faults/test_cases.py`, which compares this page with what it sees; `REPRODUCE_FAULTS=1`
writes the page anew. A mistake ends with one line, after `reproduce: `, and exit status 2; a run
that fails is marked in its table, `reproduce runs show` explains it, other runs go on, the exit
status is 1, and the same command tries it again (with `--no-retry` it does not). `RUN` stands for
the id of a run, `N` for the number of a process.
"""

RENEW = bool(os.environ.get("REPRODUCE_FAULTS"))


def document(rows: dict[str, str]) -> str:
    """The page from its rows, by what was done."""
    parts = [HEAD]
    for area, members in groupby(CASES, key=lambda case: case.area):
        lines = [rows[case.done] for case in members if case.done in rows]
        head = f"\n## {area}\n\n| What was done | What the user sees | What is kept |\n"
        parts.append(head + "| --- | --- | --- |\n" + "".join(f"{line}\n" for line in lines))
    return "".join(parts)


def written() -> dict[str, str]:
    """Rows of the document, by what was done."""
    lines = DOCUMENT.read_text(encoding="utf-8").splitlines() if DOCUMENT.exists() else []
    return {line.split(" | ")[0].removeprefix("| "): line for line in lines if line[:2] == "| "}


@pytest.fixture(scope="module")
def renewed() -> Iterator[dict[str, str]]:
    """Rows seen now; they are written at the end where that was asked for."""
    rows = written()
    yield rows
    if RENEW:
        DOCUMENT.write_text(document(rows), encoding="utf-8")


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.area}-{case.done}")
def test_a_fault(case: Case, place: Place, renewed: dict[str, str]) -> None:
    message = case.provoke(place)
    assert message
    assert "\n" not in message
    assert "Traceback" not in message
    if case.kept == NOTHING:
        assert not place.runs
        assert not list(place.folder.glob("tables/*/*.md"))
    if RENEW:
        renewed[case.done] = case.row(message)
    assert renewed.get(case.done) == case.row(message)


@pytest.mark.skipif(RENEW, reason="the page is being written")
def test_the_page_has_these_rows_and_no_others() -> None:
    assert cases.__all__
    assert len(CASES) == len({case.done for case in CASES}) >= 50
    assert DOCUMENT.read_text(encoding="utf-8") == document(written())
