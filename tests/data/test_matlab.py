"""Label maps in MATLAB files."""

from pathlib import Path

import numpy as np
import pytest
from scipy.io import loadmat, savemat

from reproduce.data.matlab import read_label_map, write_label_map
from reproduce.errors import UserError
from tests.conftest import write_sbd_mask

LABELS = np.random.default_rng(0).integers(0, 460, (30, 41))


@pytest.mark.parametrize("dtype", ["<u2", ">u2", "i4", "f8"])
@pytest.mark.parametrize("compressed", [True, False])
def test_label_map(tmp_path: Path, dtype: str, compressed: bool) -> None:
    savemat(tmp_path / "a.mat", {"LabelMap": LABELS.astype(dtype)}, do_compression=compressed)
    assert np.array_equal(read_label_map(tmp_path / "a.mat"), LABELS)


def test_sbd(tmp_path: Path) -> None:
    write_sbd_mask(tmp_path / "a.mat", LABELS % 21)
    found = read_label_map(tmp_path / "a.mat")
    assert found.dtype == np.uint8
    assert np.array_equal(found, LABELS % 21)


def test_written_files_are_equal_and_readable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_label_map(tmp_path / "a.mat", LABELS.astype(np.uint16))
    monkeypatch.setattr("time.asctime", lambda: "another day")
    write_label_map(tmp_path / "b.mat", LABELS.astype(np.uint16))
    assert (tmp_path / "a.mat").read_bytes() == (tmp_path / "b.mat").read_bytes()
    assert np.array_equal(loadmat(tmp_path / "a.mat")["LabelMap"], LABELS)


@pytest.mark.parametrize("sbd", [True, False])
def test_truncated_anywhere(tmp_path: Path, sbd: bool) -> None:
    """Every truncation is one line of error, or (an unused end of the file) harmless."""
    path = tmp_path / "a.mat"
    if sbd:
        write_sbd_mask(path, LABELS % 21)
    else:
        write_label_map(path, LABELS.astype(np.uint16))
    whole, labels = path.read_bytes(), read_label_map(path)
    messages = []
    for length in range(0, len(whole), max(1, len(whole) // 97)):
        path.write_bytes(whole[:length])
        try:
            assert np.array_equal(read_label_map(path), labels)
        except UserError as error:
            messages.append(str(error))
    assert len(messages) >= 90
    for message in messages:
        assert message.startswith(f"{path} cannot be decoded (")
        assert "\n" not in message


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"Labels": LABELS}, r"a.mat cannot be decoded .*expected GTcls or LabelMap"),
        ({"GTcls": LABELS}, r"a.mat cannot be decoded .*expected GTcls or LabelMap"),
        ({"GTcls": {"Boundaries": LABELS}}, r"a.mat cannot be decoded"),
        ({"LabelMap": LABELS[None]}, r"expected labels \(H, W\), found shape \(1, 30, 41\)"),
        ({"LabelMap": np.zeros((0, 4))}, r"expected labels \(H, W\), found shape \(0, 4\)"),
        ({"LabelMap": "text"}, r"expected labels \(H, W\)"),
        ({"LabelMap": LABELS + 0.5}, r"expected whole numbers from 0 to 65535"),
        ({"LabelMap": -LABELS}, r"expected whole numbers from 0 to 65535"),
        ({"LabelMap": LABELS + 65536}, r"expected whole numbers from 0 to 65535"),
        ({"LabelMap": np.full((2, 2), np.nan)}, r"expected whole numbers from 0 to 65535"),
    ],
)
def test_other_contents(tmp_path: Path, content: dict[str, object], message: str) -> None:
    savemat(tmp_path / "a.mat", content)
    with pytest.raises(UserError, match=message):
        read_label_map(tmp_path / "a.mat")


def test_no_matlab_file(tmp_path: Path) -> None:
    (tmp_path / "a.mat").write_text("<html>404</html>" * 40)
    with pytest.raises(UserError, match=r"a.mat cannot be decoded"):
        read_label_map(tmp_path / "a.mat")
