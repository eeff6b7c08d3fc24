"""The curves of a run that goes on."""

from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import CSVLogger

from reproduce.runs.loggers import make_loggers

WHOLE = "epoch,step,train/loss,val/miou\n0,0,2.0,\n0,5,1.5,\n0,9,,nan\n"


def rows(folder: Path, text: bytes, keep: int) -> list[dict[str, Any]]:
    (folder / "metrics.csv").write_bytes(text)
    (logger,) = make_loggers(folder, {"wandb": "off"}, keep)
    assert isinstance(logger, CSVLogger)
    return list(logger.experiment.metrics)


def test_rows_after_the_checkpoint_are_left_out(tmp_path: Path) -> None:
    kept = rows(tmp_path, WHOLE.encode(), 6)
    assert [row["step"] for row in kept] == ["0", "5"]
    assert kept[1] == {"epoch": "0", "step": "5", "train/loss": "1.5"}
    assert rows(tmp_path, WHOLE.encode(), 10)[-1]["val/miou"] == "nan"
    assert not rows(tmp_path, WHOLE.encode(), 0)


def test_damaged_rows_are_left_out(tmp_path: Path) -> None:
    """A file that a power cut left shorter, or with other bytes, stops no run."""
    assert len(rows(tmp_path, WHOLE.encode()[:-13], 10)) == 2
    assert len(rows(tmp_path, WHOLE.encode() + b"0,9,1,x\n\x00\xff,\n,7,1,\n1,2,3,4,5\n", 10)) == 4
    assert not rows(tmp_path, b"\x00\xff{,\n\x00" * 9, 10)
    assert not rows(tmp_path, b"", 10)
