"""Page and figure of Table 4 from hand-made records."""

import copy
from pathlib import Path
from typing import Any

import pytest

from reproduce.experiments import read_table
from reproduce.runs.fingerprint import code_fingerprint
from reproduce.runs.plan import cell_config
from reproduce.tables.markdown import CellRun
from reproduce.tables.timing import draw_timing, render_timing, spread
from tests.tables.examples import make_record

SPEC = read_table("4")
INFERENCE: dict[str, Any] = {
    "methods": {
        "level_set": {"seconds": [0.01, 0.02, 0.04]},
        "baseline": {"seconds": [0.02, 0.02, 0.02]},
        "crfs5": {"seconds": [0.2, 0.3, 0.2]},
        "crfs10": {"seconds": [0.4, 0.5, 0.6]},
    },
    "throughput": {
        "workers": 4,
        "threads": 8,
        "iterations": 10,
        "seconds": {"network": [0.06, 0.02, 0.03], "crf": [0.5, 0.6, 0.4], "both": [0.6, 0.8, 0.5]},
        "ratio": 1.25,
    },
    "images": 3,
    "sizes": [[40, 30], [20, 30], [30, 40]],
    "classes": 21,
    "warmup": 2,
    "rounds": 3,
    "hardware": {
        "network": "H | 1",
        "crf": "Xeon",
        "cores": 16,
        "network_threads": 8,
        "crf_threads": 1,
    },
}


def run(row: str, column: str, seed: int = 0, miou: float = 60.0, **changes: Any) -> CellRun:
    config = cell_config(SPEC, *next(SPEC.cells(f"{row}/{column}")), "demo", seed, {})
    fixed = {"config": config, "code": code_fingerprint(config), "id": f"{column}{seed}"}
    record = make_record(row, "baseline", seed, miou, **{**fixed, **changes})
    if column == "timing":
        del record["scores"]
        record.setdefault("inference", INFERENCE)
    return CellRun(row, column, seed, record["id"], record)


def tables(runs: list[CellRun]) -> dict[str, dict[str, list[str]]]:
    """Cells of every Markdown row by heading of the section and first cell."""
    found: dict[str, dict[str, list[str]]] = {}
    for line in render_timing(SPEC, "demo", "About.", runs).splitlines():
        if line.startswith("#"):
            section = found.setdefault(line.strip("# "), {})
        elif line.startswith("| "):
            cells = [cell.strip() for cell in line.replace("\\|", "¦").strip("| ").split(" | ")]
            section[cells[0]] = cells[1:]
    return found


def test_numbers_and_paper() -> None:
    runs = [run("deeplab_largefov", "crfs10", seed, 60.0 + seed) for seed in range(3)]
    page = tables([run("deeplab_largefov", "timing"), *runs])["DeepLab-LargeFOV"]
    assert page["LS loss"][:4] == ["0.0200 (0.0150 to 0.0300)", "0.025", "×1", "×1"]
    assert page["LS loss"][4:] == ["not run", "66.7"]
    # Ratios per image: 2, 1, 0.5; 20, 15, 5; 40, 25, 15.
    assert page["Baseline, no CRFs"][2] == "×1.00 (0.750 to 1.50)"
    assert page["Baseline, no CRFs"][1::2] == ["–", "–", "–"]
    assert page["CRFs-iter(5)"][:4] == [
        "0.200 (0.200 to 0.250)",
        "0.272",
        "×15.0 (10.0 to 17.5)",
        "×10.8",
    ]
    assert page["CRFs-iter(10)"] == [
        "0.500 (0.450 to 0.550)",
        "0.387",
        "×25.0 (20.0 to 32.5)",
        "×15.4",
        "61.00 ± 2.48",
        "67.3",
    ]


def test_the_papers_numbers() -> None:
    """Table 4 as printed: seconds, relative time, mIoU."""
    rows = {row.label: row for row in SPEC.rows}
    assert list(rows) == ["DeepLab-LargeFOV", "DeepLab-ResNet101"]
    for row in rows.values():
        for method, printed in row.paper_relative.items():
            ratio = row.paper_seconds[method] / row.paper_seconds["level_set"]
            assert ratio == pytest.approx(printed, abs=0.1)
    table1 = {row.key: row.paper for row in read_table("1").rows}
    for row in SPEC.rows:
        assert row.paper["level_set"] == table1[row.key]["level_set"]
        assert row.paper["crfs10"] == table1[row.key]["crfs"]


def test_networks_are_those_of_table_1() -> None:
    table1 = read_table("1")
    for key, column in (("level_set", "level_set"), ("baseline", "baseline"), ("crfs10", "crfs")):
        ours = cell_config(SPEC, *next(SPEC.cells(f"deeplab_largefov/{key}")), "demo", 0, {})
        first = next(table1.cells(f"deeplab_largefov/{column}"))
        assert ours == cell_config(table1, *first, "demo", 0, {})


def test_throughput_of_the_pool() -> None:
    page = tables([run("deeplab_resnet101", "timing")])["CRFs beside the network"]
    # 3 images in 0.03, 0.5 and 0.6 s (medians of the rounds) and in 0.4 + 0.5 + 0.6 s.
    assert page["DeepLab-ResNet101"] == ["8 + 4", "100", "6.00", "5.00", "2.00", "×1.25"]
    assert page["DeepLab-LargeFOV"] == ["not run"] * 6


def test_older_records_do_not_say_how_many_threads() -> None:
    old = copy.deepcopy(INFERENCE)
    del old["throughput"]["threads"]
    page = tables([run("deeplab_resnet101", "timing", inference=old)])["CRFs beside the network"]
    assert page["DeepLab-ResNet101"][0] == "? + 4"


def test_hardware_and_images() -> None:
    runs = [run(row.key, "timing") for row in SPEC.rows]
    text = render_timing(SPEC, "demo", "About.", runs)
    line = (
        "Network on H \\| 1 (threads: 8), CRFs on Xeon (threads: 1), 16 cores."
        " 3 images of 20×30 to 40×30 pixels, 21 classes; 3 rounds after 2 images to warm up."
    )
    assert text.count(line) == 1
    assert "reading and decoding are left out" in text
    assert "Data: 480 train, 240 val images, manifest dddddddddddd." in text


def test_missing_failed_and_stale() -> None:
    nothing = tables([])
    assert nothing["DeepLab-ResNet101"]["CRFs-iter(5)"] == [
        *("not run", "0.315", "not run", "×5.8", "not run", "76.1")
    ]
    assert "Not measured yet." in render_timing(SPEC, "demo", "About.", [])
    failed = CellRun("deeplab_largefov", "timing", 0, "aa", None, "failed", "no memory")
    page = tables([failed])
    assert page["DeepLab-LargeFOV"]["LS loss"][::2] == ["failed", "failed", "not run"]
    assert page["Runs"]["`aa`"][2] == "failed: no memory"
    stale = [
        run("deeplab_largefov", "timing", code="old"),
        run("deeplab_largefov", "crfs5", code="old"),
    ]
    page = tables(stale)
    assert page["DeepLab-LargeFOV"]["CRFs-iter(5)"][::2] == [
        "0.200 (0.200 to 0.250) (stale)",
        "×15.0 (10.0 to 17.5) (stale)",
        "60.00 (1 seed) (stale)",
    ]
    assert page["CRFs beside the network"]["DeepLab-LargeFOV"][1] == "100 (stale)"


def test_a_method_that_was_not_measured() -> None:
    methods = {k: v for k, v in INFERENCE["methods"].items() if k != "crfs5"}
    page = tables([run("deeplab_largefov", "timing", inference={**INFERENCE, "methods": methods})])
    assert page["DeepLab-LargeFOV"]["CRFs-iter(5)"][:4:2] == ["not run", "not run"]


def test_run_lines() -> None:
    page = tables([run("deeplab_largefov", "timing"), run("deeplab_largefov", "baseline", 2)])
    assert page["Runs"]["`timing0`"][:5] == ["deeplab_largefov/timing", "0", "–", "–", "12 s"]
    assert page["Runs"]["`baseline2`"][:4] == ["deeplab_largefov/baseline", "2", "60.00", "61.00"]


def test_spread() -> None:
    assert spread([3.0]) == (3.0, 3.0, 3.0)
    assert spread([4.0, 1.0, 2.0, 3.0, 5.0]) == (2.0, 3.0, 4.0)


def test_figure(tmp_path: Path) -> None:
    runs = [run("deeplab_largefov", "timing")]
    for name in ("a.svg", "b.svg"):
        draw_timing(SPEC, "demo", runs, tmp_path / name)
    text = (tmp_path / "a.svg").read_text()
    assert (tmp_path / "b.svg").read_text() == text
    for word in ("×15.0", "×25.0", "×10.8", "×8.4", "DeepLab-ResNet101", "CRFs-iter(10)", "0.02"):
        assert f">{word}<" in text
    assert text.count("×1.00") == 2  # both networks alone
    draw_timing(SPEC, "demo", [], tmp_path / "c.svg")
    assert ">×8.4<" in (tmp_path / "c.svg").read_text()
