"""When runs are mirrored online."""

import socket

import pytest

from reproduce.errors import UserError
from reproduce.runs.wandb_mode import wandb_mode


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("WANDB_MODE", "WANDB_API_KEY", "WANDB_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NETRC", "/nonexistent")
    monkeypatch.setattr("netrc.netrc", lambda: (_ for _ in ()).throw(OSError))


def test_wishes_are_granted() -> None:
    for wish in ("online", "offline", "off"):
        assert wandb_mode(wish) == wish
    with pytest.raises(UserError, match="expected auto, online, offline or off"):
        wandb_mode("maybe")


def test_offline_unless_logged_in() -> None:
    assert wandb_mode("auto") == "offline"


def test_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "disabled")
    assert wandb_mode("auto") == "off"


def test_online_needs_an_answering_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        monkeypatch.setenv("WANDB_BASE_URL", f"http://127.0.0.1:{port}")
        assert wandb_mode("auto") == "online"
    assert wandb_mode("auto", timeout=0.5) == "offline"
