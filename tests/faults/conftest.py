"""Places for faults."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import make_voc
from tests.faults.place import Place, fresh_server


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """24 images to train on: three batches an epoch."""
    return make_voc(tmp_path_factory.mktemp("data") / "shapes", train=24, val=3, classes=7)


@pytest.fixture(scope="module", autouse=True)
def _environment() -> Iterator[None]:
    """Checkpoints as often as can be; nothing of it stays for other tests."""
    before = dict(os.environ)
    os.environ["REPRODUCE_CHECKPOINT_SECONDS"] = "0"
    fresh_server()
    yield
    os.environ.clear()
    os.environ.update(before)
    fresh_server()


@pytest.fixture
def place(tmp_path: Path, data: Path, capsys: pytest.CaptureFixture[str]) -> Place:
    return Place(tmp_path, data, capsys)
