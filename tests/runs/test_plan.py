"""Planning of runs: where weights are looked for."""

import os
from pathlib import Path

import pytest

from reproduce.runs.plan import local_weights


@pytest.mark.parametrize("place", ["data/weights", "weights"])
def test_weights_in_or_beside_the_data(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REPRODUCE_WEIGHTS", "")  # so that it is restored afterwards
    monkeypatch.delenv("REPRODUCE_WEIGHTS")
    data = tmp_path / "data"
    data.mkdir()
    local_weights(data)
    assert "REPRODUCE_WEIGHTS" not in os.environ
    (tmp_path / place).mkdir()
    local_weights(data)
    assert Path(os.environ["REPRODUCE_WEIGHTS"]) == tmp_path / place
    local_weights(tmp_path / "elsewhere")
    assert Path(os.environ["REPRODUCE_WEIGHTS"]) == tmp_path / place
