"""Markdown from hand-made records."""

from reproduce.experiments import read_table
from reproduce.tables.markdown import CellRun
from reproduce.tables.render import render
from tests.tables.examples import make_record

SPEC = read_table("1")


def run(row: str, column: str, seed: int, miou: float, **changes: str) -> CellRun:
    record = make_record(row, column, seed, miou, **changes)
    return CellRun(row, column, seed, record["id"], record)


def page(*runs: CellRun) -> dict[str, list[str]]:
    """Cells of every Markdown line that is a row, by their first cell's text."""
    text = render(SPEC, "demo", "About.", list(runs))
    rows: dict[str, list[str]] = {}
    for line in text.splitlines():
        if line.startswith("| "):
            cells = [cell.strip() for cell in line.replace("\\|", "¦").strip("| ").split(" | ")]
            rows.setdefault(cells[0], []).extend(cells[1:])
    return rows


def pair(row: str, *values: tuple[float, float]) -> list[CellRun]:
    return [
        run(row, column, seed, pair[i])
        for seed, pair in enumerate(values)
        for i, column in enumerate(("baseline", "level_set"))
    ]


def test_cells_gains_and_paper() -> None:
    rows = page(*pair("fcn32s_resnet101", (20.0, 22.0), (21.0, 23.1), (22.0, 23.9)))
    table, gains = rows["FCN-32s-ResNet101"][:6], rows["FCN-32s-ResNet101"][6:]
    assert table == ["21.00 ± 2.48", "65.1", "–", "–", "23.00 ± 2.37", "68.9"]
    assert gains == ["+2.00 ± 0.25", "+3.8", "weaker"]


def test_missing_is_printed_as_missing() -> None:
    rows = page()
    assert rows["DeepLab-LargeFOV"][:6] == ["not run", "62.8", "not run", "67.3", "not run", "66.7"]
    assert rows["DeepLab-LargeFOV"][6:] == ["not run", "+3.9", "not run"]


def test_one_seed_failures_and_stale() -> None:
    rows = page(
        *pair("fcn8s_resnet101", (20.0, 22.0)),
        CellRun("fcn8s_resnet101", "baseline", 1, "aa", None, "failed", "no\nmemory | <b>"),
        run("deeplab_resnet101", "baseline", 0, 30.0, code="old"),
    )
    assert rows["FCN-8s-ResNet101"][0] == "20.00 (1 seed) (1 failed)"
    assert rows["FCN-8s-ResNet101"][6:] == ["+2.00 (1 seed)", "+0.8", "not seen"]
    assert rows["DeepLab-ResNet101"][0] == "30.00 (1 seed) (stale)"
    assert rows["`aa`"][2] == "failed: no memory ¦ &lt;b>"


def test_run_lines() -> None:
    (first, *_) = runs = pair("fcn8s_resnet101", (20.0, 22.0))
    line = page(*runs)[f"`{first.id}`"]
    assert line[:6] == ["fcn8s_resnet101/baseline", "0", "20.00", "21.00", "12 s", "512 MiB"]
    assert line[6:8] == ["1 × CPU ¦ fast", "2026-01-01 00:00"]


def test_pure() -> None:
    runs = pair("fcn8s_resnet101", (20.0, 22.0), (23.0, 25.0))
    texts = {render(SPEC, "demo", "A.", order) for order in (runs, list(runs))}
    assert len(texts) == 1


def test_tables_without_numbers_of_the_paper() -> None:
    spec = read_table("ablations", "demo")
    runs = [
        CellRun("default", column, seed, "x", make_record("default", column, seed, miou))
        for column, values in (("baseline", (30.0, 31.0)), ("level_set", (33.0, 34.1)))
        for seed, miou in enumerate(values)
    ]
    text = render(spec, "demo", "About.", runs)
    assert "| Method | Baseline | LS loss |" in text
    assert "| Method | Gain | Verdict |" in text
    assert "| FCN-32s as in Table 1 (λ 4e-4, ε 0.05) | +3.05 ± 0.64 | gain |" in text
    assert "The paper has\nno numbers here." in text
    assert "the paper's own" not in text
    assert "(ablations_sensitivity.svg)" in text
