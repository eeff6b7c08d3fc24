"""Figures from hand-made records."""

from pathlib import Path

from reproduce.experiments import read_table
from reproduce.runs.plan import cell_config
from reproduce.tables.figures import draw_gains, draw_sensitivity
from reproduce.tables.markdown import CellRun
from tests.tables.examples import make_record

SPEC = read_table("ablations", "demo")


def runs() -> list[CellRun]:
    """Two points of the map: +3 at the default, -2 at another λ and ε."""
    found = []
    for row, gain in (("default", 3.0), ("lam_4e-3_eps_0.2", -2.0)):
        for key, miou in (("baseline", 30.0), ("level_set", 30.0 + gain)):
            config = cell_config(SPEC, *next(SPEC.cells(f"{row}/{key}")), "demo", 0, {})
            record = make_record(row, key, 0, miou, config=config)
            found.append(CellRun(row, key, 0, record["id"], record))
    return found


def test_sensitivity_shows_each_gain_at_its_place(tmp_path: Path) -> None:
    draw_sensitivity(SPEC, "demo", runs(), tmp_path / "a.svg")
    text = (tmp_path / "a.svg").read_text()
    for word in ("+3.00", "-2.00", "0.0004", "0.004", "0.05", "0.2"):
        assert f">{word}<" in text.replace("−", "-")
    draw_sensitivity(SPEC, "demo", runs(), tmp_path / "b.svg")
    assert (tmp_path / "b.svg").read_bytes() == (tmp_path / "a.svg").read_bytes()


def test_nothing_measured(tmp_path: Path) -> None:
    draw_sensitivity(SPEC, "demo", [], tmp_path / "a.svg")
    draw_gains(SPEC, "demo", [], tmp_path / "b.svg")
    assert (tmp_path / "a.svg").read_text().startswith("<?xml")
    assert (tmp_path / "b.svg").read_text().startswith("<?xml")
