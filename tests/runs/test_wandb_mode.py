"""When runs are mirrored online: never where that would stall them."""

import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from reproduce.errors import UserError
from reproduce.runs.wandb_mode import PUBLIC, check_server, logged_in, server_answers, wandb_mode
from tests.runs.wandb_server import KEY, WandbServer, serve


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("WANDB_MODE", "WANDB_API_KEY", "WANDB_BASE_URL", "http_proxy", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NETRC", "/nonexistent")


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[WandbServer]:
    with serve() as running:
        monkeypatch.setenv("WANDB_BASE_URL", running.url)
        yield running


@pytest.fixture
def silent(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A server that accepts connections and never says anything; a key is set."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        monkeypatch.setenv("WANDB_API_KEY", KEY)
        monkeypatch.setenv("WANDB_BASE_URL", f"http://127.0.0.1:{listening.getsockname()[1]}")
        yield


def test_wishes_are_granted() -> None:
    for wish in ("offline", "off"):
        assert wandb_mode(wish) == wish
    with pytest.raises(UserError, match="expected auto, online, offline or off"):
        wandb_mode("maybe")


@pytest.mark.usefixtures("server")
def test_offline_unless_logged_in() -> None:
    assert server_answers(10)
    assert wandb_mode("auto", timeout=10) == "offline"
    with pytest.raises(UserError, match=r"not logged in .*wandb login, or set WANDB_API_KEY"):
        wandb_mode("online")


def test_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for mode, expected in (("disabled", "off"), ("offline", "offline")):
        monkeypatch.setenv("WANDB_MODE", mode)
        assert wandb_mode("auto") == expected


@pytest.mark.usefixtures("server")
def test_online_with_a_key_and_a_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    assert wandb_mode("auto", timeout=10) == "online"
    assert wandb_mode("online") == "online"
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")  # nobody listens there
    assert wandb_mode("auto") == "offline"


@pytest.mark.usefixtures("silent")
def test_a_silent_server_is_not_waited_for() -> None:
    start = time.monotonic()
    assert wandb_mode("auto") == "offline"
    assert time.monotonic() - start < 3
    with pytest.raises(UserError, match=r"does not answer within 0\.5 s.*--wandb offline"):
        check_server(timeout=0.5)


def test_login_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of ``wandb login``: by host and port, of the public service also by its older name."""
    path = tmp_path / "netrc"
    monkeypatch.setenv("NETRC", str(path))
    path.write_text(f"machine {PUBLIC}\n  login user\n  password {KEY}\n")
    assert logged_in()
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:8080")
    assert not logged_in()
    path.write_text(f"machine 127.0.0.1:8080\n  login user\n  password {KEY}\n")
    assert logged_in()
