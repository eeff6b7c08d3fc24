"""What a driver shows."""

from pathlib import Path

from reproduce.runs.display import Display, Going, Status, duration, headline, row
from reproduce.runs.progress import NAME, Progress, read_progress, write_progress
from tests.runs.screen import screen


def test_lines() -> None:
    going = Going("table1/fcn32s_resnet101/level_set seed 1", 1400, Progress(1500, 28.4))
    assert row(going) == "  table1/fcn32s_resnet101/level_set seed 1: 1400 of 1400, mIoU 28.40"
    assert row(Going("x", 10, Progress(0))) == "  x: 0 of 10"
    status = Status(14, done=5, failed=1, elsewhere=2, going=[going], seconds=60.0, left=180.0)
    expected = "5 of 14 runs done, 1 running, 1 failed, 2 by other drivers, about 3.0 min left"
    assert headline(status) == expected
    assert round(status.part, 3) == 0.25
    assert Status(3).part == 0
    assert Status(3, done=2, failed=1, left=0.0).part == 1
    assert headline(Status(3, done=3, left=0.0)) == "3 of 3 runs done"
    assert [duration(s) for s in (40, 192, 18400)] == ["40 s", "3.2 min", "5.1 h"]


def test_the_bar_never_goes_back() -> None:
    with screen(terminal=True) as (stream, seen):
        display = Display(1, stream)
        display.show(Status(4, done=1, seconds=60.0, left=60.0))
        display.show(Status(4, done=1, seconds=60.0, left=600.0))
        display.close()
        shown = seen()
    assert " 50%|" in shown
    assert "about 10.0 min left" in shown
    assert "  9%|" not in shown


def test_nothing_is_drawn_without_a_terminal() -> None:
    with screen(terminal=False) as (stream, seen):
        display = Display(2, stream)
        display.show(Status(4, going=[Going("x", 10, Progress(1))]))
        display.close()
        assert seen() == ""


def test_progress_in_a_file(tmp_path: Path) -> None:
    assert read_progress(tmp_path) is None
    write_progress(tmp_path, 7)
    assert read_progress(tmp_path) == Progress(7)
    write_progress(tmp_path, 9, 23.456)
    assert read_progress(tmp_path) == Progress(9, 23.46)
    (tmp_path / NAME).write_text("")
    assert read_progress(tmp_path) is None
