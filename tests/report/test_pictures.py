"""Which images are shown, and that they are those of the records."""

from pathlib import Path

import numpy as np
import pytest

from reproduce.report.images import choose, image_iou
from reproduce.report.networks import networks
from reproduce.report.pictures import galleries, gallery
from reproduce.report.tables import read_tables
from tests.report.pages import example_runs


def test_rule() -> None:
    base = {"a": 10.0, "b": 20.0, "c": 30.0, "d": 40.0}
    ours = {"a": 15.0, "b": 29.0, "c": 29.0, "e": 1.0}
    assert choose(base, ours) == [("largest gain", "b"), ("median", "a"), ("largest loss", "c")]
    assert choose({"a": 1.0}, {"a": 2.0}) == [("largest gain", "a")]
    assert choose({}, {}) == []


def test_image_iou_leaves_void_out() -> None:
    truth = np.array([[0, 0, 1, 255]], np.uint8)
    assert image_iou(np.array([[0, 1, 1, 5]], np.uint8), truth) == pytest.approx(50)


def test_gallery(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tables, runs, data = example_runs(tmp_path)
    monkeypatch.setattr("reproduce.report.pictures.data_set", _voc)
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
    monkeypatch.setattr("reproduce.report.pictures.data_set", _voc)
    found = list(networks(read_tables(tables, "demo")[0]))
    record = found[0].runs[0][0].record or {}
    for name in record["image_iou"]:
        record["image_iou"][name] += 10
    pictures, problems = galleries(found, runs, data)
    assert pictures == {}
    assert "otherwise than its record says" in problems[0]


def _voc(_: str) -> object:
    from reproduce.data.catalog import data_set

    return data_set("reproduce.data.VOCDataModule")
