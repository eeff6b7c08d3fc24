"""Downloads against a server with faults."""

import random
import shutil
import socket
from pathlib import Path
from types import SimpleNamespace

import pytest

from reproduce.data import download as module
from reproduce.data.download import Source, download
from reproduce.errors import UserError
from tests.data.server import serve

CONTENT = random.Random(0).randbytes(300_000)
FILES = {"a.tar": CONTENT}


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WAITS", (0.0, 0.0))
    monkeypatch.setattr(module, "TIMEOUT", 5.0)


def one_line(error: pytest.ExceptionInfo[UserError]) -> str:
    text = str(error.value)
    assert "\n" not in text
    return text


def test_a_file_arrives_whole_and_once(tmp_path: Path) -> None:
    with serve(files=FILES) as server:
        path = download(server.source("a.tar"), tmp_path)
        assert path.read_bytes() == CONTENT
        assert [p.name for p in tmp_path.iterdir()] == ["a.tar"]
        download(server.source("a.tar"), tmp_path)
        assert server.seen == [""]


def test_a_part_is_continued(tmp_path: Path) -> None:
    (tmp_path / "a.tar.part").write_bytes(CONTENT[:1000])
    with serve(files=FILES) as server:
        assert download(server.source("a.tar"), tmp_path).read_bytes() == CONTENT
        assert server.seen == ["bytes=1000-"]


def test_cut_connections_are_continued_as_long_as_bytes_arrive(tmp_path: Path) -> None:
    with serve(files=FILES, cut=40_000, cuts=7) as server:
        assert download(server.source("a.tar"), tmp_path).read_bytes() == CONTENT
        assert server.seen == ["", *(f"bytes={40_000 * i}-" for i in range(1, 8))]


def test_without_ranges_it_starts_again(tmp_path: Path) -> None:
    (tmp_path / "a.tar.part").write_bytes(b"x" * 1000)
    with serve(files=FILES, ranges=False, cut=40_000, cuts=1) as server:
        assert download(server.source("a.tar"), tmp_path).read_bytes() == CONTENT
        assert len(server.seen) == 2


def test_without_ranges_and_always_cut_it_gives_up(tmp_path: Path) -> None:
    with serve(files=FILES, ranges=False, cut=40_000, cuts=99) as server:
        with pytest.raises(UserError, match="ended after 40,000 of 300,000 bytes") as error:
            download(server.source("a.tar"), tmp_path)
        assert "the same command goes on where it stopped" in one_line(error)
        assert (tmp_path / "a.tar.part").stat().st_size == 40_000
        server.ranges, server.cuts = True, 0
        assert download(server.source("a.tar"), tmp_path).read_bytes() == CONTENT


def test_a_whole_part_is_only_checked(tmp_path: Path) -> None:
    (tmp_path / "a.tar.part").write_bytes(CONTENT)
    with serve(files=FILES) as server:
        assert download(server.source("a.tar"), tmp_path).read_bytes() == CONTENT
        assert server.seen == ["bytes=300000-"]


def test_a_part_that_is_too_long_is_thrown_away(tmp_path: Path) -> None:
    (tmp_path / "a.tar.part").write_bytes(CONTENT + b"more")
    with serve(files=FILES) as server:
        assert download(server.source("a.tar"), tmp_path).read_bytes() == CONTENT
        assert len(server.seen) == 2


def test_another_range_than_asked_for_is_not_written(tmp_path: Path) -> None:
    (tmp_path / "a.tar.part").write_bytes(CONTENT[:1000])
    with serve(files=FILES, shift=5) as server, pytest.raises(UserError, match="1005 on where"):
        download(server.source("a.tar"), tmp_path)
    assert (tmp_path / "a.tar.part").read_bytes() == CONTENT[:1000]


def test_an_untold_size_is_no_obstacle(tmp_path: Path) -> None:
    with serve(files=FILES, sized=False) as server:
        assert download(server.source("a.tar"), tmp_path).read_bytes() == CONTENT


def test_wrong_bytes_are_set_aside(tmp_path: Path) -> None:
    with serve(files=FILES) as server:
        source = server.source("a.tar", b"what was published")
        with pytest.raises(UserError, match=r"has the md5 .*, expected .*a\.tar\.wrong") as error:
            download(source, tmp_path)
    one_line(error)
    assert [p.name for p in tmp_path.iterdir()] == ["a.tar.wrong"]


def test_a_file_of_the_user_is_checked_too(tmp_path: Path) -> None:
    (tmp_path / "a.tar").write_bytes(b"half")
    with serve(files=FILES) as server:
        with pytest.raises(UserError, match="the same command fetches it again"):
            download(server.source("a.tar"), tmp_path)
        assert not server.seen
        assert download(server.source("a.tar"), tmp_path).read_bytes() == CONTENT


def test_a_busy_server_is_asked_again(tmp_path: Path) -> None:
    with serve(files=FILES, status=[503, 429]) as server:
        assert download(server.source("a.tar"), tmp_path).read_bytes() == CONTENT


def test_a_missing_file_is_not_asked_for_again(tmp_path: Path) -> None:
    with serve(files={}) as server:
        with pytest.raises(UserError, match=r"answers 404 .* put it into") as error:
            download(server.source("a.tar", CONTENT), tmp_path)
        assert server.seen == [""]
    one_line(error)


def test_nobody_answers(tmp_path: Path) -> None:
    with serve(files=FILES) as server:
        source = server.source("a.tar")
    with pytest.raises(UserError, match=r"cannot be fetched .*refused.* goes on") as error:
        download(source, tmp_path)
    one_line(error)


def test_a_silent_server_times_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TIMEOUT", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        source = Source(f"http://127.0.0.1:{silent.getsockname()[1]}/a.tar", "a.tar", "0")
        with pytest.raises(UserError, match="timed out"):
            download(source, tmp_path)


def test_only_http(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(CONTENT)
    with pytest.raises(UserError, match="expected an http or https address"):
        download(Source(secret.as_uri(), "a.tar", "0"), tmp_path)
    for location in (secret.as_uri(), "ftp://127.0.0.1/a.tar"):
        with serve(files=FILES, location=location) as server, pytest.raises(UserError):
            download(server.source("a.tar"), tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["secret"]


def test_a_full_disk_is_foreseen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Room is needed for the rest of the archive and for what is in it."""
    (tmp_path / "a.tar.part").write_bytes(CONTENT[:200_000])
    usage = SimpleNamespace(free=429_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with serve(files=FILES) as server:
        with pytest.raises(UserError, match=r"must be free in .*: free space or name") as error:
            download(server.source("a.tar"), tmp_path)
        one_line(error)
        usage.free = 431_000
        assert download(server.source("a.tar"), tmp_path).read_bytes() == CONTENT
