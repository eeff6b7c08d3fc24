"""``reproduce figures``: what is drawn, kept, marked as stale or said to be missing."""

import json
import shutil
from pathlib import Path

import pytest

from reproduce.cli import main
from reproduce.experiments import REPOSITORY, SCALES
from reproduce.figures.command import Request, collect, page_of, read_known
from reproduce.tables.driver import committed_cells
from tests.figures.test_examples import voc
from tests.report.pages import example_runs

EXAMPLES = "examples_table1_fcn32s_resnet101"

#: Bytes that committed figures of a scale may take together.
BUDGET = 1_500_000


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Table 1 with a network of two seeds; the figures of tables are those of the demo."""
    example_runs(tmp_path, seeds=2)
    monkeypatch.setattr("reproduce.figures.examples.data_set", voc)
    return tmp_path


def figures(place: Path, *words: str) -> int:
    where = ("--tables", str(place / "tables"), "--runs", str(place / "runs"))
    return main(["figures", *where, "--data", str(place / "data"), *words])


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_drawn_once_and_the_same_again(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = place / "tables" / "demo" / "figures"
    assert figures(place) == 1  # most rows of the table were not run
    said = capsys.readouterr()
    assert "figures: 3 drawn, 0 as they were, 16 cannot be drawn" in said.out
    assert "FCN-16s-ResNet101: not run: make table1 SCALE=demo" in said.err
    assert "Figure 4: losses and mIoU over training: no " in said.err
    first = files(out)
    assert {f"{EXAMPLES}.svg", f"{EXAMPLES}.png", "loss.png", "figures.md"} <= first.keys()

    shutil.rmtree(place / "runs")  # what is there needs no checkpoint
    assert figures(place) == 1
    assert "0 drawn, 3 as they were" in capsys.readouterr().out
    assert files(out) == first


def test_equal_runs_give_equal_files(place: Path) -> None:
    figures(place, "--out", str(place / "a"))
    figures(place, "--out", str(place / "b"))
    one, two = files(place / "a"), files(place / "b")
    del one["figures.md"], two["figures.md"]
    assert one == two


def test_the_page_names_the_runs(place: Path) -> None:
    figures(place)
    page = (place / "tables" / "demo" / "figures" / "figures.md").read_text()
    _, _, cells = committed_cells(place / "tables" / "demo" / "table1.json")
    base, ours = (
        next(run.id for run in cells if run.column == key and run.record)
        for key in ("baseline", "level_set")
    )
    assert f"**FCN-32s-ResNet101** Seed 0: Baseline `{base}`, LS loss `{ours}`." in page
    assert f"[![FCN-32s-ResNet101]({EXAMPLES}.svg)]({EXAMPLES}.png)" in page
    assert "**FCN-8s-ResNet101**: not drawn: `make table1 SCALE=demo`" in page
    picture = (place / "tables" / "demo" / "figures" / f"{EXAMPLES}.svg").read_text()
    assert f"Seed 0: Baseline {base}, LS loss {ours}." in picture


def test_other_runs_make_it_stale(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    figures(place)
    _, _, cells = committed_cells(place / "tables" / "demo" / "table1.json")
    for run in cells:
        if run.record is not None:
            path = place / "tables" / "demo" / "records" / f"{run.id}.json"
            path.write_text(path.read_text().replace("2026-01-01 00:00", "2026-02-02 00:00"))
    checkpoint = place / "runs" / next(r.id for r in cells if r.record) / "last.ckpt"
    hidden = checkpoint.rename(place / "hidden")
    for other in (place / "runs").glob("*/last.ckpt"):
        other.rename(other.with_name("away.ckpt"))
    capsys.readouterr()
    assert figures(place) == 1
    said = capsys.readouterr().err
    assert f"no {checkpoint}: remove {checkpoint.parent} and call reproduce table table1" in said
    page = place / "tables" / "demo" / "figures" / "figures.md"
    assert (
        "**FCN-32s-ResNet101** Stale: its runs or its code have changed since" in page.read_text()
    )

    hidden.rename(checkpoint)
    for other in (place / "runs").glob("*/away.ckpt"):
        other.rename(other.with_name("last.ckpt"))
    figures(place)
    assert "2 drawn, 1 as they were" in capsys.readouterr().out
    assert "Stale" not in page.read_text()


def test_the_first_seed_with_checkpoints_is_shown(place: Path) -> None:
    _, _, cells = committed_cells(place / "tables" / "demo" / "table1.json")
    first = next(run for run in cells if run.record and run.seed == 0)
    shutil.rmtree(place / "runs" / first.id)
    figures(place)
    page = (place / "tables" / "demo" / "figures" / "figures.md").read_text()
    assert "**FCN-32s-ResNet101** Seed 1: " in page


def test_no_tables(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["figures", "--tables", str(tmp_path)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "make table1 SCALE=demo writes the first" in line


@pytest.mark.parametrize("scale", SCALES)
def test_committed_figures(scale: str) -> None:
    """The page is what the tables and the manifest give: ``make figures`` after new runs."""
    folder = REPOSITORY / "tables" / scale / "figures"
    if not folder.is_dir():
        pytest.skip(f"no figures at {scale} scale")
    request = Request(scale, REPOSITORY / "tables", REPOSITORY / "no-runs")
    known = read_known(folder)
    found = collect(request, known)
    assert (folder / "figures.md").read_text() == page_of(request, found, known)
    assert {figure.key for figure in found} >= known.keys()
    shown = {path.name for figure in found for path in (figure.svg, figure.png)}
    here = {path.name for path in folder.iterdir()} - {"figures.md", "figures.json"}
    assert here <= shown
    assert sum(path.stat().st_size for path in folder.iterdir()) < BUDGET
    assert json.loads((folder / "figures.json").read_text()) == {"figures": known}
