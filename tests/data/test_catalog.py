"""Splits of the data sets."""

from pathlib import Path

import pytest

from reproduce.data.catalog import data_set
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
