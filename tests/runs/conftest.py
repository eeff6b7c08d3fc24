"""Fixtures of the tests of runs."""

from collections.abc import Iterator

import pytest

from tests.runs.wandb_server import KEY, WandbServer, serve


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[WandbServer]:
    """A server of Weights & Biases, to which this process is logged in."""
    with serve() as running:
        monkeypatch.setenv("WANDB_BASE_URL", running.url)
        monkeypatch.setenv("WANDB_API_KEY", KEY)
        monkeypatch.delenv("WANDB_MODE", raising=False)
        yield running
