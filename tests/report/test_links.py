"""Every number leads to its runs."""

import pytest

from reproduce.experiments import read_table
from reproduce.report.links import anchor, link, tone
from reproduce.report.markdown import parse


def _targets(table: str, text: str, heading: str = "") -> list[str]:
    (part,) = parse(text)
    return [cell.target for cell in link(read_table(table), part, heading).rows[0]]


def test_scores_lead_to_their_cell_and_gains_to_the_row() -> None:
    head = "| Method | Baseline, ours | paper | CRFs, ours |\n| --- | ---: | ---: | ---: |\n"
    found = _targets("1", head + "| FCN-32s-ResNet101 | 30.1 ± 1 | 65.1 | – |\n")
    assert found == ["", "cells-table1-fcn32s_resnet101-baseline", "", ""]
    head = "| Method | Gain, ours | Gain, paper | Verdict |\n| --- | ---: | ---: | --- |\n"
    found = _targets("1", head + "| FCN-32s-ResNet101 | +1.0 | +3.8 | weaker |\n")
    assert found == ["", anchor("table1", "fcn32s_resnet101"), "", ""]


def test_seconds_lead_to_the_timing_run() -> None:
    head = "| Method | s/image, ours | mIoU, ours |\n| --- | ---: | ---: |\n"
    spec = read_table("4")
    timing = next(c.key for c in spec.columns if "timing" in (c.evaluate or {}))
    row, first = spec.rows[0], spec.columns[0]
    found = _targets("4", f"{head}| {first.label} | 0.1 | 50 |\n", row.label)
    cells = [anchor("table4", row.key, key) for key in (timing, first.key)]
    assert found == ["", *cells]


@pytest.mark.parametrize(
    ("verdict", "expected"),
    [("reproduced", "good"), ("weaker", "part"), ("not seen", "none"), ("loss", "bad")],
)
def test_tone(verdict: str, expected: str) -> None:
    assert tone(verdict) == expected
