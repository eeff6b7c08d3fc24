"""Page and figure of details from hand-made records, against loops over pixels."""

from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reproduce.experiments import read_table
from reproduce.metrics.by_image import CountsByImage
from reproduce.metrics.encoding import encode_counts
from reproduce.metrics.label_pair import label_pair
from reproduce.metrics.trimap import TRIMAP_WIDTHS
from reproduce.postprocess.scoring import score_labels
from reproduce.tables.details import BANDS, IOU, LINES, RECALL, WHOLE, read_networks, render_details
from reproduce.tables.details_figure import draw_details
from reproduce.tables.markdown import CellRun
from tests.metrics import slow
from tests.tables.examples import make_record

SPEC = read_table("details", "demo")
ONE = replace(SPEC, rows=SPEC.rows[1:2])
ROW = ONE.rows[0].key
CLASSES, IMAGES = 3, range(4)


def maps(image: int, column: str, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Truth of an image; the level set loss errs least, each seed at other pixels."""
    _, truth = slow.scene(image, CLASSES)
    errors = {"baseline": 0.3, "crfs": 0.2, "level_set": 0.05}[column]
    rng = np.random.default_rng([image, seed])
    wrong = rng.random(truth.shape) < errors
    true = np.where(truth == slow.VOID, 0, truth)
    return np.where(wrong, rng.integers(0, CLASSES, truth.shape), true), truth


def run(row: str, column: str, seed: int, like: str = "", **changes: Any) -> CellRun:
    counts, total = CountsByImage(CLASSES), np.zeros((CLASSES, CLASSES), np.int64)
    for image in IMAGES:
        matrix, details = score_labels(*maps(image, like or column, seed), CLASSES)
        counts.add_counts(details)
        total += matrix
    entries = {
        "confusion": total.tolist(),
        "image_iou": {f"image{image}": 50.0 for image in IMAGES},
        "details": encode_counts(counts.arrays()),
    }
    record = make_record(row, column, seed, 50.0, **{**entries, **changes})
    return CellRun(row, column, seed, record["id"], record)


def every(seeds: int = 2) -> list[CellRun]:
    cells = [(row.key, column.key) for row, column in SPEC.cells()]
    return [run(row, column, seed) for (row, column), seed in product(cells, range(seeds))]


def cells(runs: list[CellRun]) -> dict[str, list[str]]:
    """Cells of the lines of the only network's table, by their first cell."""
    text = render_details(ONE, "demo", "About.", runs)
    lines = text.split("\n## ")[2].splitlines()
    split = [line.strip("| ").split(" | ") for line in lines if line.startswith("| ")]
    return {line[0]: line[1:] for line in split[2:]}


def mean(values: list[float]) -> float:
    return 100 * sum(values) / len(values)


def slow_scores(column: str, seeds: tuple[int, ...]) -> dict[str, float]:
    """Lines of the table from sums of :mod:`tests.metrics.slow` over images and seeds."""
    tables = np.zeros((len(TRIMAP_WIDTHS), CLASSES, CLASSES), int)
    things = []
    for image, seed in product(IMAGES, seeds):
        guess, truth = maps(image, column, seed)
        tables += np.array(slow.trimap(guess, truth, CLASSES, TRIMAP_WIDTHS))
        things += slow.objects(label_pair(guess, truth, CLASSES), 1)
    scores = {}
    for width, table in zip(TRIMAP_WIDTHS, tables.tolist(), strict=True):
        ious = []
        for c in range(CLASSES):
            union = sum(table[c]) + sum(row[c] for row in table) - table[c][c]
            ious += [table[c][c] / union] if union else []
        scores[f"{width:g}"] = mean(ious)
    low, high = np.quantile([area for _, area, _, _ in things], (1 / 3, 2 / 3))
    groups = {"small": (0, low), "medium": (low, high), "large": (high, np.inf)}
    for size, (above, most) in groups.items():
        group = [thing for thing in things if above < thing[1] <= most]
        scores[f"IoU {size}"] = mean([hits / (area + alarms) for _, area, hits, alarms in group])
        scores[f"recall {size}"] = mean([hits / area for _, area, hits, _ in group])
    return scores


@pytest.mark.parametrize("seeds", [(0,), (0, 1)])
def test_scores_are_those_of_loops(seeds: tuple[int, ...]) -> None:
    runs = [run(ROW, column, seed) for column in ("baseline", "level_set") for seed in seeds]
    (network,) = read_networks(ONE, runs)
    theirs = {column: slow_scores(column, seeds) for column in ("baseline", "level_set")}
    for column, scores in theirs.items():
        interval = network.interval(column)
        assert interval is not None
        ours = interval.value
        np.testing.assert_allclose(ours[WHOLE], scores["inf"])
        np.testing.assert_allclose(ours[BANDS], [scores[f"{w:g}"] for w in TRIMAP_WIDTHS[:-1]])
        for places, name in ((IOU, "IoU"), (RECALL, "recall")):
            wanted = [scores[f"{name} {size}"] for size in ("small", "medium", "large")]
            np.testing.assert_allclose(ours[places], wanted)
    gain = network.interval("level_set", "baseline")
    assert gain is not None
    wanted = [theirs["level_set"][key] - theirs["baseline"][key] for key in ("inf", "4")]
    np.testing.assert_allclose(gain.value[[WHOLE, 1 + TRIMAP_WIDTHS.index(4)]], wanted)
    assert gain.low[WHOLE] < wanted[0] < gain.high[WHOLE]


def test_the_whole_image_has_the_records_miou() -> None:
    only = run(ROW, "baseline", 0)
    assert only.record is not None
    confusion = np.array(only.record["confusion"])
    hits = confusion.diagonal()
    wanted = 100 * (hits / (confusion.sum(0) + confusion.sum(1) - hits)).mean()
    assert cells([only])["mIoU, whole image"][0] == f"{wanted:.2f}"


def test_a_method_differs_from_itself_by_nothing() -> None:
    runs = [run(ROW, column, seed, "crfs") for column in ("baseline", "crfs") for seed in (0, 1)]
    (network,) = read_networks(ONE, runs)
    gain = network.interval("crfs", "baseline")
    assert gain is not None
    for end in gain:
        assert end.shape == (len(LINES),)
        assert not end.any()
    assert cells(runs)["Boundary F"][4] == "+0.00 [+0.00, +0.00]"


def test_cells() -> None:
    table = cells(every())
    assert len(table) == 1 + len(LINES)
    assert table["Trainings"] == ["2", "2", "2", "2 shared", "2 shared"]
    base, crfs, ours, gain, other = table["mIoU within 4 px"]
    assert gain.startswith(f"**{float(ours) - float(base):+.1f}"[:-1])
    assert other.startswith(f"**{float(crfs) - float(base):+.1f}"[:-1])
    assert gain.count("**") == 2
    assert gain.endswith("]")


def test_rows_without_a_column_have_a_dash() -> None:
    text = render_details(SPEC, "demo", "About.", every(1))
    block = text.split("\n## ")[2]
    assert block.startswith("FCN-32s-ResNet101")
    assert "| Trainings | 1 | – | 1 | 1 shared | – |" in block
    assert "not run" not in text
    assert "- **LS loss − Baseline** (3 of 3 networks measured): whole image 3 above, 0" in text
    assert "- **CRFs − Baseline** (2 of 2 networks measured): whole image" in text


@pytest.mark.parametrize(
    ("base", "ours", "wanted"),
    [
        ("baseline", "level_set", "1 above, 0 below"),
        ("level_set", "baseline", "0 above, 1 below"),
        ("crfs", "crfs", "0 above, 0 below"),
    ],
)
def test_reading(base: str, ours: str, wanted: str) -> None:
    runs = [run(ROW, "baseline", 0, base), run(ROW, "level_set", 0, ours)]
    text = render_details(ONE, "demo", "About.", runs)
    for score in ("whole image", "within 4 px of a contour", "Boundary F"):
        assert f"{score} {wanted}" in text


def test_reading_needs_an_interval_clear_of_zero() -> None:
    """Errors of one rate at other pixels: no difference to see."""
    same = run(ROW, "level_set", 0, "crfs"), run(ROW, "baseline", 1, "crfs")._replace(seed=0)
    (network,) = read_networks(ONE, same)
    gain = network.interval("level_set", "baseline")
    assert gain is not None
    assert gain.low[WHOLE] < 0 < gain.high[WHOLE]
    assert "whole image 0 above, 0 below" in render_details(ONE, "demo", "About.", same)


def test_missing() -> None:
    text = render_details(SPEC, "demo", "About.", [])
    assert "(0 of 3 networks measured): not run." in text
    assert "Data: none images, manifest none." in text
    assert "(– px) | not run | – | not run | not run | – |" in text
    failed = CellRun(ROW, "crfs", 0, "aa", None, "failed", "no memory")
    absent = CellRun(ROW, "crfs", 1, "", None, "not run")
    runs = [run(ROW, "baseline", 0), run(ROW, "baseline", 1), run(ROW, "level_set", 1)]
    table = cells([*runs, failed, absent])
    wanted = ["2", "not run (1 failed)", "1", "1 shared", "not run (1 failed)"]
    assert table["Trainings"] == wanted
    assert table["Boundary IoU"][1] == table["Boundary IoU"][4] == "not run"
    text = render_details(ONE, "demo", "About.", [*runs, failed, absent])
    assert "failed: no memory" in text


def test_pairs_share_seeds() -> None:
    """Seed 0 of the baseline alone does not count in the difference."""
    runs = [run(ROW, "baseline", 0, "crfs"), run(ROW, "baseline", 1), run(ROW, "level_set", 1)]
    assert cells(runs)["Boundary F"][3] == cells(runs[1:])["Boundary F"][3]
    assert cells(runs)["Boundary F"][0] != cells(runs[1:])["Boundary F"][0]


def test_stale() -> None:
    runs = [run(ROW, "baseline", 0), run(ROW, "level_set", 0, code="old"), run(ROW, "crfs", 0)]
    table = cells(runs)
    assert table["Trainings"] == ["1", "1", "1 (stale)", "1 shared (stale)", "1 shared"]


@pytest.mark.parametrize(
    "changes",
    [
        {"image_iou": {f"other{image}": 50.0 for image in IMAGES}},
        {"data": {"digest": "e" * 64, "splits": {"val": {"images": 4}}}},
    ],
)
def test_other_images_are_not_compared(changes: dict[str, Any]) -> None:
    runs = [run(ROW, "baseline", 0), run(ROW, "level_set", 0, **changes), run(ROW, "crfs", 0)]
    table = cells(runs)
    bad = "not run (1 not comparable)"
    assert table["Trainings"] == ["1", "1", bad, bad, "1 shared"]
    text = render_details(ONE, "demo", "About.", runs)
    assert f"not comparable: not the images and classes of {ROW}/baseline, seed 0" in text


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"details": None}, "expected counts trimap, boundary_f"),
        (
            {"confusion": [[1, 0, 0]] * 3},
            "counts of the details differ from those of the confusion matrix",
        ),
        ({"image_iou": {"image0": 50.0}}, "counts of (4, 7, 3, 2) for 1 images"),
    ],
)
def test_damaged_records_are_not_counted(changes: dict[str, Any], problem: str) -> None:
    runs = [run(ROW, "baseline", 0, **changes), run(ROW, "level_set", 0)]
    table = cells(runs)
    assert table["Trainings"][0] == "not run (1 unreadable)"
    assert table["Boundary F"][2] != "not run"
    text = render_details(ONE, "demo", "About.", runs)
    assert f"unreadable: {problem}" in text


def test_equal_runs_give_equal_bytes(tmp_path: Path) -> None:
    runs = every(1)
    texts = {render_details(SPEC, "demo", "A.", order) for order in (runs, runs[::-1])}
    assert len(texts) == 1
    for name, order in (("a", runs), ("b", runs[::-1])):
        draw_details(SPEC, "demo", order, tmp_path / f"{name}.svg")
    picture = (tmp_path / "a.svg").read_bytes()
    assert picture == (tmp_path / "b.svg").read_bytes()
    for word in ("FCN-32s-ResNet101", "LS loss", "CRFs", "small", "whole"):
        assert f"{word}</text>".encode() in picture
    assert b"not run" not in picture


def test_figure_of_nothing(tmp_path: Path) -> None:
    draw_details(SPEC, "demo", [], tmp_path / "a.svg")
    assert (tmp_path / "a.svg").read_bytes().count(b"not run</text>") == 9
