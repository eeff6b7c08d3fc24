"""docs/reproduction.md: its numbers are those of the records, its conclusions follow from them."""

import re
from importlib.resources import files
from pathlib import Path

import pytest

from reproduce.errors import UserError
from reproduce.experiments import REPOSITORY
from reproduce.report.evidence import Evidence, Gain, read_evidence
from reproduce.report.reproduction import (
    FIRST_MARK,
    LAST_MARK,
    README,
    check_reproduction,
    conclusions,
    render_reproduction,
    with_gains,
    write_reproduction,
)
from reproduce.tables.driver import committed_cells, render_cells
from reproduce.tables.statistics import Estimate
from tests.report.pages import EVIL, example_record, example_tables

TABLES = REPOSITORY / "tables"


@pytest.fixture(scope="module")
def committed() -> Evidence:
    return read_evidence(TABLES, "demo")


@pytest.fixture
def tables(tmp_path: Path) -> Path:
    """Table 1 with two rows of two seeds, +2 and -1 points, the last run stale."""
    out = example_tables(tmp_path)
    index = out / "demo" / "table1.json"
    index.with_suffix(".md").write_text(render_cells(*committed_cells(index)))
    return out


@pytest.mark.usefixtures("tables_as_committed")
def test_the_committed_page_is_what_the_records_give() -> None:
    assert "are what the records give" in check_reproduction(TABLES)


def test_gains_and_verdicts(tables: Path) -> None:
    evidence = read_evidence(tables, "demo")
    gains = {gain.method: gain for gain in evidence.gains}
    first, last = gains["FCN-32s-ResNet101"], gains["FCN-8s-ResNet101"]
    assert (first.ours, first.paper, first.verdict) == ("+2.00 ± 0.00", "+3.8", "weaker")
    assert (last.ours, last.verdict, last.sign) == ("-1.00 ± 0.00", "not seen (stale)", -1)
    assert gains["DeepLab-LargeFOV"].verdict == "not run"
    assert [gain.sign for gain in evidence.gains].count(0) == 5
    assert "Of 7 gains: 1 weaker, 5 not run, 1 not seen." in evidence.reading
    assert "above zero: FCN-32s-ResNet101 (Table 1). " in evidence.reading
    assert "below zero: FCN-8s-ResNet101 (Table 1)." in evidence.reading
    (claim,) = evidence.claims
    assert (claim.missing, claim.stale, claim.seeds) == (14, 1, 2)


def test_the_loss_against_others(committed: Evidence) -> None:
    """Table 5's rows are differences between losses, and Table 1's run is not counted again."""
    gains = [g for g in committed.gains if g.table == "Table 5"]
    assert [(g.method.partition(",")[0], g.paper) for g in gains] == [
        ("over LMP", "+0.2"),
        ("over L^AD", "+0.4"),
    ]


def test_cost_counts_each_run_once(tables: Path) -> None:
    cost = read_evidence(tables, "demo").cost
    assert (cost.trainings, cost.others) == (8, 0)
    assert cost.hours == f"{8 * 12 / 3600:.1f}"
    assert cost.memory == "0.5 GiB"
    assert cost.dates == "2026-01-01"
    assert EVIL not in cost.devices
    assert "CPU \\| fast" in cost.devices


def test_conclusions_follow_from_the_intervals(committed: Evidence) -> None:
    def _scale(*gains: tuple[float, float | None]) -> Evidence:
        made = [Gain("T", "m", "", "", "", Estimate(*gain, 3), 1.0) for gain in gains]
        return committed._replace(gains=made)

    counted, wide = conclusions([_scale((2, 1), (-2, 1), (0, 3), (1, 4))], [])
    assert "of 4 gains 1 have an interval above zero and 1 below" in counted
    assert "±2.0 points, the paper's median gain +1.0. Most of what was *not seen*" in wide
    _, narrow = conclusions([_scale((0, 0.5))], [])
    assert "would mostly have been seen" in narrow
    (alone,) = conclusions([_scale((2, None))], [])
    assert "none of them is a result" in alone
    assert "neither confirmed nor refuted" in conclusions([_scale((2, 1))], ["paper"])[-1]


def test_absent_scales_are_named(tables: Path) -> None:
    page = render_reproduction([read_evidence(tables, "demo")])
    assert "## Evidence at lite and paper scale\n\nNone: no table was made." in page
    assert not re.search(r"<script|<img", page)
    with pytest.raises(UserError, match="make table1 writes the first"):
        check_reproduction(tables / "none")


def test_the_table_in_the_readme(tables: Path) -> None:
    text = f"a\n{FIRST_MARK}old\n{LAST_MARK}\nb\n"
    made = with_gains(text, [read_evidence(tables, "demo")])
    assert made.startswith(f"a\n{FIRST_MARK}| Method | Gain, ours | Gain, paper | Verdict |\n")
    assert "| FCN-32s-ResNet101 | +2.00 ± 0.00 | +3.8 | weaker |\n" in made
    assert made.endswith(f"|\n{LAST_MARK}\nb\n")
    assert made.count("\n| ") == 9
    assert with_gains("no marks", []) == "no marks"
    assert README.read_text().count(FIRST_MARK) == 1


def test_other_pages_are_refused(tables: Path, tmp_path: Path) -> None:
    page, readme = tmp_path / "reproduction.md", tmp_path / "README.md"
    readme.write_text(f"{FIRST_MARK}{LAST_MARK}")
    with pytest.raises(UserError, match=r"reproduction.md is not .+: run make claims and commit"):
        check_reproduction(tables, page, readme)
    assert write_reproduction(tables, page, readme).startswith(f"written to {page}")
    assert "are what the records give" in check_reproduction(tables, page, readme)
    readme.write_text(readme.read_text().replace("+2.00", "+3.00"))
    with pytest.raises(UserError, match=r"README.md is not what the records give"):
        check_reproduction(tables, page, readme)
    write_reproduction(tables, page, readme)
    record = example_record("fcn8s_resnet101", "baseline", 0, 50.0)
    other = example_tables(tmp_path / "other", [record])
    index = other / "demo" / "table1.json"
    index.with_suffix(".md").write_text(render_cells(*committed_cells(index)))
    with pytest.raises(UserError, match=r"reproduction.md is not what the records give"):
        check_reproduction(other, page, readme)


def test_no_result_is_typed_by_hand() -> None:
    """The only numbers with a point in the text name sections of the paper and the paper."""
    text = (files("reproduce.report") / "assets" / "reproduction.md").read_text("utf-8")
    found = set(re.findall(r"\d+\.\d+(?:\.\d+)?", text))
    assert found == {"1910.00950", "4.4.2", "4.3"}
    assert "±" not in text
