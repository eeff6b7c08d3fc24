"""Which images are shown, and that their answers are those of the records."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from reproduce.data.catalog import data_set
from reproduce.data.images import read_pair
from reproduce.errors import UserError
from reproduce.experiments import read_table
from reproduce.figures.examples import (
    Trained,
    answer_examples,
    choose,
    class_iou,
    crf_column,
    image_iou,
    trained,
)
from reproduce.postprocess import DenseCRF
from reproduce.segment import load_network
from reproduce.tables.driver import committed_cells
from reproduce.tables.markdown import CellRun
from reproduce.tables.render import Cells
from tests.report.pages import example_runs
from tests.tables.examples import make_record

TABLE = read_table("1", "demo")


def voc(_: str) -> object:
    return data_set("reproduce.data.VOCDataModule")


def test_rule() -> None:
    base = {"a": 10.0, "b": 20.0, "c": 30.0, "d": 40.0}
    ours = {"a": 15.0, "b": 29.0, "c": 29.0, "e": 1.0}
    assert choose(base, ours) == [("largest gain", "b"), ("median", "a"), ("largest loss", "c")]
    assert choose({"a": 1.0}, {"a": 2.0}) == [("largest gain", "a")]
    assert choose({"a": float("nan")}, {"a": 2.0}) == []


def test_iou_leaves_void_out() -> None:
    truth = np.array([[0, 0, 1, 255]], np.uint8)
    labels = np.array([[0, 1, 1, 5]], np.uint8)
    assert class_iou(labels, truth) == {0: 50.0, 1: 50.0}
    assert image_iou(labels, truth) == pytest.approx(50)
    assert np.isnan(image_iou(labels[:, 3:], truth[:, 3:]))


def test_crfs_are_those_of_the_baseline() -> None:
    found = crf_column(TABLE)
    assert found is not None
    assert found.key == "crfs"
    assert crf_column(read_table("5", "demo")) is None


def test_sets_have_both_trainings() -> None:
    row = next(row for row in TABLE.rows if row.key == "deeplab_largefov")

    def run(column: str, seed: int, **changes: Any) -> CellRun:
        record = make_record(row.key, column, seed, 50, **changes)
        return CellRun(row.key, column, seed, record["id"], record)

    runs = [
        *(run("baseline", seed) for seed in (0, 1, 2)),
        *(run("level_set", seed) for seed in (1, 2)),
        run("crfs", 2, crf={"iterations": 10}),
        CellRun(row.key, "level_set", 0, "", None, "not run"),
    ]
    first, second = trained(TABLE, row, Cells(runs))
    assert (first.seed, list(first.runs)) == (1, ["baseline", "level_set"])
    assert (second.seed, list(second.runs)) == (2, ["baseline", "crfs", "level_set"])


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Trained, Path, Path]:
    """A trained pair with the CRFs of its baseline, evaluated here by the library's own call."""
    tables, runs, data = example_runs(tmp_path)
    monkeypatch.setattr("reproduce.figures.examples.data_set", voc)
    _, spec, cells = committed_cells(tables / "demo" / "table1.json")
    (pair,) = trained(spec, spec.rows[0], Cells(cells))
    crf = {"iterations": 3, "bi_w": 5.0, "bi_xy_std": 9.0, "bi_rgb_std": 20.0}
    network = load_network(runs / pair.base.id)
    known, scores = data_set("reproduce.data.VOCDataModule"), {}
    for sample in known.split(data, "val"):
        image, truth = read_pair(sample, known.classes)
        pixels = torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))[None]
        with torch.inference_mode():
            maps = network.full_logits(pixels).softmax(1)[0]
        refined = DenseCRF(**crf)(image, maps)  # type: ignore[arg-type]
        scores[sample.name] = image_iou(refined.argmax(0).astype(np.uint8), truth)
    record = {"crf": crf, "image_iou": scores}
    return pair._replace(crf=CellRun("row", "crfs", 0, "e" * 12, record)), runs, data


def test_answers(place: tuple[Trained, Path, Path]) -> None:
    chosen, runs, data = place
    assert chosen.missing(runs) == []
    found = answer_examples(chosen, runs, data)
    assert [example.rule for example in found.images] == ["largest gain", "median"]
    for example in found.images:
        assert list(example.answers) == ["baseline", "crfs", "level_set"]
        base, refined, ours = example.answers.values()
        assert not np.array_equal(base.labels, refined.labels)
        assert not np.array_equal(base.labels, ours.labels)
        for answer in (base, refined, ours):
            assert image_iou(answer.labels, example.truth) == pytest.approx(answer.iou, abs=0.01)
            assert np.allclose(answer.maps.astype(np.float32).sum(0), 1, atol=0.01)
    assert found.clear == {0, 255}
    assert found.present()
    assert found.colour(1) == (128, 0, 0)


def test_answers_that_the_record_does_not_have(place: tuple[Trained, Path, Path]) -> None:
    chosen, runs, data = place
    record = chosen.crf.record if chosen.crf else None
    assert record is not None
    for name in record["image_iou"]:
        record["image_iou"][name] += 10
    with pytest.raises(UserError, match=r"e{12} labels .* otherwise than its record says"):
        answer_examples(chosen, runs, data)


def test_images_that_are_not_there(place: tuple[Trained, Path, Path]) -> None:
    chosen, runs, data = place
    for run in (chosen.base, chosen.ours):
        assert run.record is not None
        run.record["image_iou"]["elsewhere"] = 1000.0 if run is chosen.ours else 0.0
    with pytest.raises(UserError, match="has no image elsewhere, which run"):
        answer_examples(chosen, runs, data)


def test_a_checkpoint_that_is_gone(place: tuple[Trained, Path, Path]) -> None:
    chosen, runs, _ = place
    path = runs / chosen.ours.id / "last.ckpt"
    path.unlink()
    assert chosen.missing(runs) == [path]
