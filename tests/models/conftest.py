"""An empty folder of weights, and an empty cache of torch."""

from pathlib import Path

import pytest
import torch


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Folder named by ``REPRODUCE_WEIGHTS``; torch's cache is ``hub`` in it."""
    monkeypatch.setenv("REPRODUCE_WEIGHTS", str(tmp_path))
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    return tmp_path
