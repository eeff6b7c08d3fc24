"""Which images are shown, and that they are those of the records."""

from pathlib import Path

import pytest

from reproduce.report.networks import networks
from reproduce.report.pictures import galleries, gallery
from reproduce.report.tables import read_tables
from tests.figures.test_examples import voc
from tests.report.pages import example_runs


def test_gallery(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tables, runs, data = example_runs(tmp_path)
    monkeypatch.setattr("reproduce.figures.examples.data_set", voc)
    (network,) = networks(read_tables(tables, "demo")[0])
    found = gallery(network, runs, data)
    assert found is not None
    assert [image.rule for image in found.images] == ["largest gain", "median"]
    assert found.images[0].photo.startswith("data:image/webp;base64,")
    assert gallery(network, tmp_path / "none", data) is None


def test_a_network_that_its_record_does_not_fit_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tables, runs, data = example_runs(tmp_path)
    monkeypatch.setattr("reproduce.figures.examples.data_set", voc)
    found = list(networks(read_tables(tables, "demo")[0]))
    record = found[0].runs[0][0].record or {}
    for name in record["image_iou"]:
        record["image_iou"][name] += 10
    pictures, problems = galleries(found, runs, data)
    assert pictures == {}
    assert "otherwise than its record says" in problems[0]
