"""Splits of the data sets."""

from pathlib import Path

import pytest

from reproduce.data.catalog import DATA_SETS, data_set
from reproduce.errors import UserError
from tests.conftest import make_voc


def test_a_fifth_of_a_split_is_held_out(tmp_path: Path) -> None:
    root = make_voc(tmp_path, train=11)
    voc = data_set("reproduce.data.VOCDataModule")
    whole, fit, held = (voc.split(root, name) for name in ("train", "train.fit", "train.held"))
    assert held == [whole[4], whole[9]]
    assert fit == [sample for sample in whole if sample not in held]
    with pytest.raises(UserError, match=r"split 'train\.rest': expected train\.fit or train\.held"):
        voc.split(root, "train.rest")


def test_a_data_module_of_the_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own_data.py").write_text(
        "from reproduce.data.catalog import data_set\n"
        "class Mine:\n    data = data_set('reproduce.data.VOCDataModule')\n"
        "class Bare:\n    data = 3\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert data_set("own_data.Mine") is DATA_SETS["reproduce.data.VOCDataModule"]
    with pytest.raises(UserError, match=r"own_data.Bare has no attribute data with a DataSet"):
        data_set("own_data.Bare")
    with pytest.raises(UserError, match=r"own_data.No cannot be imported \(.+'No'"):
        data_set("own_data.No")
    for unknown in ("reproduce.data.NoDataModule", "voc"):
        with pytest.raises(
            UserError, match=r"unknown data .+ expected one of reproduce\.data\.VOC"
        ):
            data_set(unknown)
