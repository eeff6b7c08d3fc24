"""Page and figure of section 4.3 from hand-made records."""

import copy
from pathlib import Path
from typing import Any

import pytest

from reproduce.bench.statistics import Around
from reproduce.experiments import read_table
from reproduce.runs.fingerprint import code_fingerprint
from reproduce.runs.plan import cell_config
from reproduce.tables.markdown import CellRun
from reproduce.tables.overhead import draw_overhead, paper_percent, render_overhead, verdict
from tests.tables.examples import make_record

SPEC = read_table("overhead")


def part(base: float, extra: float, memory: int) -> dict[str, Any]:
    """Nine rounds whose ratios are 1 + extra - 4 % to 1 + extra + 4 %."""
    ratios = [1 + extra + step / 100 for step in range(-4, 5)]
    return {
        "cross_entropy": {
            "seconds": [base] * 9,
            "peak_bytes": memory,
            "peak_resident": memory + 2**20,
        },
        "level_set": {
            "seconds": [base * ratio for ratio in ratios],
            "peak_bytes": memory - 2**20,
            "peak_resident": None,
        },
    }


OVERHEAD: dict[str, Any] = {
    "step": part(0.4, 0.05, 100 * 2**20),
    "loss": part(0.004, -0.25, 2**20),
    "network": "DeepLabLargeFOV on Trunk",
    "parameters": 1234567,
    "images": 8,
    "crop": [64, 64],
    "grids": [[8, 8]],
    "classes": 7,
    "rounds": 9,
    "warmup": 2,
    "kernel": True,
    "hardware": {"device": "H | 1", "threads": 2},
}


def run(row: str, **changes: Any) -> CellRun:
    config = cell_config(SPEC, *next(SPEC.cells(f"{row}/overhead")), "demo", 0, {})
    fixed = {"config": config, "code": code_fingerprint(config), "id": row, "overhead": OVERHEAD}
    record = make_record(row, "baseline", 0, 0.0, **{**fixed, **changes})
    del record["scores"]
    return CellRun(row, "overhead", 0, record["id"], record)


def tables(runs: list[CellRun]) -> dict[str, dict[str, list[str]]]:
    """Cells of every Markdown row by heading of the section and first cell."""
    found: dict[str, dict[str, list[str]]] = {}
    for line in render_overhead(SPEC, "demo", "About.", runs).splitlines():
        if line.startswith("#"):
            section = found.setdefault(line.strip("# "), {})
        elif line.startswith("| "):
            cells = [cell.strip() for cell in line.replace("\\|", "¦").strip("| ").split(" | ")]
            section[cells[0]] = cells[1:]
    return found


def test_numbers() -> None:
    page = tables([run("deeplab_largefov")])
    assert page["A training step"]["DeepLab-LargeFOV"] == [
        "0.0500 (0.0500 to 0.0500)",
        "0.133",
        "0.0525 (0.0515 to 0.0535)",
        "0.157",
        "+5.00 (+2.00 to +8.00) %",  # 2nd smallest to 2nd largest of nine
        "+18 %",
        "less than the paper's 18 %",
    ]
    assert page["The losses alone"]["DeepLab-LargeFOV"] == [
        *("8×8", "4.00 (4.00 to 4.00)", "3.00 (2.92 to 3.08)", "×0.75 (0.73 to 0.77)", "1.00 %"),
        "-0.250 (-0.280 to -0.220) %",
    ]
    assert page["Memory"]["DeepLab-LargeFOV"] == ["100.0", "99.0", "101.0", "–"]


def test_not_measured_failed_and_stale() -> None:
    page = tables([])
    assert page["A training step"]["DeepLab-ResNet101"] == [
        *("not run", "–", "not run", "–", "not run", "–", "not run")
    ]
    assert "Not measured yet." in render_overhead(SPEC, "demo", "About.", [])
    failed = CellRun("deeplab_largefov", "overhead", 0, "aa", None, "failed", "no memory")
    page = tables([failed])
    assert page["A training step"]["DeepLab-LargeFOV"][0] == "failed"
    assert page["Memory"]["DeepLab-LargeFOV"] == ["failed"] * 4
    page = tables([run("deeplab_largefov", code="old")])
    assert page["A training step"]["DeepLab-LargeFOV"][4].endswith(" (stale)")
    assert page["Memory"]["DeepLab-LargeFOV"][0] == "100.0 (stale)"


@pytest.mark.parametrize(
    ("around", "expected"),
    [
        (Around(-3.0, -1.0, 1.0), "at most 1 %"),
        (Around(-3.0, 0.0, 1.1), "less than the paper's 18 %"),
        (Around(10.0, 15.0, 19.0), "undecided"),
        (Around(19.0, 20.0, 30.0), "more than the paper's 18 %"),
    ],
)
def test_verdict(around: Around, expected: str) -> None:
    assert verdict(around, 18.0) == expected


def test_the_papers_number_is_largefovs() -> None:
    """Section 4.3 names the network; the text is quoted in the specification."""
    rows = {row.key: paper_percent(row) for row in SPEC.rows}
    assert rows["deeplab_largefov"] == pytest.approx(18.05, abs=0.01)
    assert rows["deeplab_resnet101"] is None


def test_setting() -> None:
    text = render_overhead(SPEC, "demo", "About.", [run("deeplab_largefov")])
    assert (
        "- DeepLab-LargeFOV: DeepLabLargeFOV on Trunk, 1,234,567 parameters, 8 × 64×64 pixels, "
        "7 classes; H \\| 1, threads: 2, with the loss's kernel in C; 9 rounds after 2."
    ) in text
    assert "About." in text
    on_gpu = copy.deepcopy(OVERHEAD)
    on_gpu["kernel"] = None
    text = render_overhead(SPEC, "demo", "", [run("deeplab_largefov", overhead=on_gpu)])
    assert "threads: 2; 9 rounds" in text


def test_figure(tmp_path: Path) -> None:
    for name in ("a.svg", "b.svg"):
        draw_overhead(SPEC, "demo", [run("deeplab_resnet101")], tmp_path / name)
    text = (tmp_path / "a.svg").read_text()
    assert (tmp_path / "b.svg").read_text() == text
    assert ">DeepLab-ResNet101<" in text
    draw_overhead(SPEC, "demo", [], tmp_path / "c.svg")
