"""Figures of rows from hand-made records: what their captions say."""

from pathlib import Path

from reproduce.experiments import read_table
from reproduce.figures.rows import Place, row_figures
from reproduce.tables.markdown import CellRun
from tests.tables.examples import make_record

TABLE = read_table("1", "demo")


def run(row: str, column: str) -> CellRun:
    record = make_record(row, column, 0, 50, crf={"iterations": 10})
    return CellRun(row, column, 0, record["id"], record)


def captions(*columns: str) -> list[tuple[str, str]]:
    place = Place("demo", Path("none"), None, Path("none"))
    runs = [run("deeplab_largefov", column) for column in columns]
    pairs = row_figures(place, TABLE, runs)
    return [(images.caption, levels.caption) for images, levels in pairs if images.caption]


def test_crfs_are_shown_or_said_to_be_missing() -> None:
    base, crf, ours = (
        run("deeplab_largefov", column).id for column in ("baseline", "crfs", "level_set")
    )
    ((images, levels),) = captions("baseline", "crfs", "level_set")
    assert images == f"Seed 0: Baseline `{base}`, CRFs `{crf}`, LS loss `{ours}`."
    assert levels == f"Seed 0: Baseline `{base}`, LS loss `{ours}`."
    ((images, _),) = captions("baseline", "level_set")
    assert images == f"Seed 0: Baseline `{base}`, LS loss `{ours}`. CRFs: not run."


def test_every_row_of_the_paper_has_its_figures() -> None:
    place = Place("demo", Path("none"), None, Path("none"))
    titles = [images.title for images, _ in row_figures(place, TABLE, [])]
    assert titles == [row.label for row in TABLE.rows]
