"""What the sheets of examples show."""

import re

import numpy as np
import pytest

from reproduce.data.labels import SHAPES, VOID, voc_palette
from reproduce.figures.examples import Answer, Example, Examples
from reproduce.figures.pictures import draw_examples, draw_level_set, shown_class, shown_size

COLUMNS = {"baseline": "Baseline", "crfs": "CRFs", "level_set": "LS loss"}
PAIR = ("level_set", "baseline")


def answer(labels: np.ndarray, iou: float) -> Answer:
    maps = np.full((7, *labels.shape), 0.05, np.float16)
    np.put_along_axis(maps, labels[None].astype(np.int64), np.float16(0.7), 0)
    return Answer(labels, maps, iou)


def example(name: str = "val_7", rule: str = "largest gain") -> Example:
    """The level set loss finds class 2, which the baseline misses; both have half of class 3."""
    truth = np.zeros((20, 30), np.uint8)
    truth[2:8, 2:8], truth[10:18, 10:18], truth[19] = 2, 3, VOID
    base = np.where(truth == 3, 3, 0).astype(np.uint8)
    base[10:14, 10:18] = 0
    ours = base.copy()
    ours[2:8, 2:8] = 2
    image = np.full((20, 30, 3), 120, np.uint8)
    answers = {
        "baseline": answer(base, 40.0),
        "crfs": answer(base, 45.0),
        "level_set": answer(ours, 61.5),
    }
    return Example(name, rule, image, truth, answers)


def examples(*images: Example) -> Examples:
    return Examples(images, SHAPES, voc_palette())


def words(svg: str) -> list[str]:
    return re.findall(r"<text[^>]*>([^<]*)</text>", svg)


@pytest.mark.parametrize(
    ("size", "expected"),
    [((96, 96), (192, 192)), ((500, 375), (200, 150)), ((2000, 3), (200, 1)), ((1, 1), (200, 200))],
)
def test_size(size: tuple[int, int], expected: tuple[int, int]) -> None:
    assert shown_size(*size) == expected


def test_class_of_the_largest_gain() -> None:
    assert shown_class(example(), PAIR, {0, VOID}) == 2
    nothing = example()._replace(truth=np.zeros((20, 30), np.uint8))
    assert shown_class(nothing, PAIR, {0, VOID}) == 0


def test_examples_are_named_with_rule_and_scores() -> None:
    sheet = draw_examples(
        examples(example(), example("val_8", "median")), COLUMNS, PAIR, ["FCN, runs 1"]
    )
    said = words(sheet.svg())
    assert said[:5] == ["image", "truth", "Baseline", "CRFs", "LS loss"]
    assert "largest gain +21.5: val_7" in said
    assert "median +21.5: val_8" in said
    assert [text for text in said if text.startswith("IoU")][:3] == [
        "IoU 40.0 %",
        "IoU 45.0 %",
        "IoU 61.5 %",
    ]
    assert said[-4:] == ["square", "triangle", "void", "FCN, runs 1"]
    assert sheet.svg().count("<image") == 2 * 5


def test_columns_that_are_not_there_are_left_out() -> None:
    columns = {"baseline": "Baseline", "level_set": "LS loss"}
    sheet = draw_examples(examples(example()), columns, PAIR, [])
    assert sheet.svg().count("<image") == 4
    assert "CRFs" not in words(sheet.svg())


def test_level_set_map_has_its_zero_line_where_the_labels_change() -> None:
    sheet = draw_level_set(examples(example()), COLUMNS, PAIR, ["runs"])
    said = words(sheet.svg())
    assert said[:4] == [
        "image",
        "truth: square",
        "φ, Baseline (IoU 0.0 %)",
        "φ, LS loss (IoU 100.0 %)",
    ]
    assert "Image val_7, largest gain in IoU; square: its object that gains most." in said
    pixels = np.asarray(sheet.png().convert("RGB")).astype(int)
    step = pixels.shape[1] // 4
    black = [(pixels[30:150, i * step : (i + 1) * step].sum(-1) < 60).sum() for i in (2, 3)]
    assert black[0] < 20 < black[1]  # the baseline has no line: it never says square
