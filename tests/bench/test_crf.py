"""The benchmark of the CRF."""

import json
from pathlib import Path

from reproduce.bench.crf import Case, bench_crf
from reproduce.bench.targets import scene


def test_scenes_are_images_with_probabilities() -> None:
    pixels, maps = scene(5, 30, 40)
    assert pixels.shape == (30, 40, 3)
    assert maps.shape == (5, 30, 40)
    assert (maps.sum(0) - 1).abs().max() < 1e-5
    assert len(maps.argmax(0).unique()) > 1
    again, _ = scene(5, 30, 40)
    assert (again == pixels).all()


def test_page(tmp_path: Path) -> None:
    cases = (Case(20, 30, 3, 1), Case(20, 30, 3, 2))
    text = bench_crf(rounds=2, out=tmp_path, cases=cases, pool=cases[0], workers=(1,))
    assert "| 20×30 | 3 | 1 |" in text
    assert "| ×1.00 | 2 |" in text
    assert "## Pool: 4 images of 20×30×3, 1 iterations" in text
    results = json.loads((tmp_path / "bench_crf.json").read_text())
    assert [case["iterations"] for case in results["cases"]] == [1, 2]
    assert all(len(values) == 2 for values in results["pool"]["seconds"].values())
