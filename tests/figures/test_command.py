"""``reproduce figures``: what is drawn, kept, marked as stale or said to be missing."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from reproduce.cli import main
from reproduce.experiments import REPOSITORY, SCALES
from reproduce.figures.command import Request, collect, page_of, read_known
from reproduce.tables.driver import committed_cells
from reproduce.tables.markdown import CellRun
from tests.figures.test_examples import voc
from tests.report.pages import example_runs

EXAMPLES = "examples_table1_fcn32s_resnet101"

#: Bytes that committed figures of a scale may take together.
BUDGET = 1_500_000


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Table 1 with a network of two seeds, its figures drawn."""
    root = tmp_path_factory.mktemp("figures")
    example_runs(root, seeds=2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("reproduce.figures.examples.data_set", voc)
        assert figures(root) == 1  # most rows of the table were not run
        yield root


@pytest.fixture
def place(drawn: Path, tmp_path: Path) -> Path:
    """A copy to be changed."""
    shutil.copytree(drawn, tmp_path, dirs_exist_ok=True)
    return tmp_path


def figures(place: Path, *words: str) -> int:
    where = ("--tables", str(place / "tables"), "--runs", str(place / "runs"))
    return main(["figures", *where, "--data", str(place / "data"), *words])


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def cells(place: Path) -> list[CellRun]:
    """The runs of Table 1."""
    _, _, found = committed_cells(place / "tables" / "demo" / "table1.json")
    return [run for run in found if run.record is not None]


def page(place: Path) -> str:
    return (place / "tables" / "demo" / "figures" / "figures.md").read_text()


def test_what_is_there_needs_no_checkpoint(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = place / "tables" / "demo" / "figures"
    first = files(out)
    assert {f"{EXAMPLES}.svg", f"{EXAMPLES}.png", "loss.png", "figures.md"} <= first.keys()
    shutil.rmtree(place / "runs")
    (out / "figures.md").unlink()
    assert figures(place) == 1
    said = capsys.readouterr()
    assert "figures: 0 drawn, 3 as they were, 16 cannot be drawn" in said.out
    assert "FCN-16s-ResNet101: not run: make table1 SCALE=demo" in said.err
    assert "Figure 4: losses and mIoU over training: no " in said.err
    assert files(out).keys() == first.keys()
    assert all(files(out)[name] == first[name] for name in first if name != "figures.md")


def test_equal_runs_give_equal_files(drawn: Path, tmp_path: Path) -> None:
    figures(drawn, "--out", str(tmp_path))
    one, two = files(drawn / "tables" / "demo" / "figures"), files(tmp_path)
    del one["figures.md"], two["figures.md"]  # they link to the tables' pictures
    assert one == two


def test_the_page_names_the_runs(drawn: Path) -> None:
    base, ours = (
        next(run.id for run in cells(drawn) if run.column == key)
        for key in ("baseline", "level_set")
    )
    assert f"**FCN-32s-ResNet101** Seed 0: Baseline `{base}`, LS loss `{ours}`." in page(drawn)
    assert f"[![FCN-32s-ResNet101]({EXAMPLES}.svg)]({EXAMPLES}.png)" in page(drawn)
    assert "**FCN-8s-ResNet101**: not drawn: `make table1 SCALE=demo`" in page(drawn)
    picture = (drawn / "tables" / "demo" / "figures" / f"{EXAMPLES}.svg").read_text()
    assert f"Seed 0: Baseline {base}, LS loss {ours}." in picture


def test_other_runs_make_it_stale(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for run in cells(place):
        path = place / "tables" / "demo" / "records" / f"{run.id}.json"
        path.write_text(path.read_text().replace("2026-01-01 00:00", "2026-02-02 00:00"))
    first, *others = (place / "runs" / run.id / "last.ckpt" for run in cells(place))
    for path in (first, *others):
        path.rename(path.with_name("away"))
    assert figures(place) == 1
    said = capsys.readouterr().err
    assert f"no {first}: remove {first.parent} and call reproduce table table1" in said
    assert "**FCN-32s-ResNet101** Stale: its runs or its code have changed since" in page(place)

    for path in (first, *others):
        path.with_name("away").rename(path)
    figures(place)
    assert "2 drawn, 1 as they were" in capsys.readouterr().out
    assert "Stale" not in page(place)


def test_the_first_seed_with_checkpoints_is_shown(place: Path) -> None:
    first = next(run for run in cells(place) if run.seed == 0)
    shutil.rmtree(place / "runs" / first.id)
    shutil.rmtree(place / "tables" / "demo" / "figures")
    figures(place)
    assert "**FCN-32s-ResNet101** Seed 1: " in page(place)


def test_no_tables(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["figures", "--tables", str(tmp_path)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "make table1 SCALE=demo writes the first" in line


@pytest.mark.usefixtures("tables_as_committed")
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
