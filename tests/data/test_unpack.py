"""Archives: whole, damaged and hostile."""

import io
import shutil
import stat
import tarfile
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from reproduce.data.unpack import unpack
from reproduce.errors import UserError

BODY = bytes(range(256)) * 100


def write_tar(path: Path, *members: tarfile.TarInfo | str) -> Path:
    """A tar of files (by name) and of any other members."""
    mode = "w:gz" if path.suffix in {".gz", ".tgz"} else "w:"
    with tarfile.open(path, mode) as tar:  # type: ignore[call-overload]
        for member in members:
            info = tarfile.TarInfo(member) if isinstance(member, str) else member
            if info.isreg():
                info.size = len(BODY)
            tar.addfile(info, io.BytesIO(BODY) if info.isreg() else None)
    return path


def write_zip(path: Path, *names: str) -> Path:
    with zipfile.ZipFile(path, "w") as file:
        for name in names:
            file.writestr(name, BODY)
    return path


def link(name: str, to: str, kind: bytes = tarfile.SYMTYPE) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, to
    return info


def refused(archive: Path, target: Path, pattern: str) -> None:
    """One line, and nothing is left but the archive."""
    before = sorted(archive.parent.iterdir())
    with pytest.raises(UserError, match=pattern) as error:
        unpack(archive, "in", target, {})
    assert "\n" not in str(error.value)
    assert sorted(archive.parent.iterdir()) == before
    assert not list(target.parent.iterdir())


@pytest.fixture
def target(tmp_path: Path) -> Path:
    place = tmp_path / "root"
    place.mkdir()
    return place / "target"


@pytest.mark.parametrize("name", ["a.tar", "a.tar.gz", "a.zip"])
def test_the_folder_appears(name: str, tmp_path: Path, target: Path) -> None:
    write = write_zip if name.endswith("zip") else write_tar
    archive = write(tmp_path / name, "in/x/1.png", "in/x/2.png", "other/3.png")
    unpack(archive, "in", target, {"*/*.png": 2})
    assert sorted(p.name for p in target.rglob("*.png")) == ["1.png", "2.png"]
    assert (target / "x" / "1.png").read_bytes() == BODY
    assert list(target.parent.iterdir()) == [target]


def test_an_inner_link_is_fine(tmp_path: Path, target: Path) -> None:
    unpack(write_tar(tmp_path / "a.tar", "in/x", link("in/y", "x")), "in", target, {})
    assert (target / "y").read_bytes() == BODY


@pytest.mark.parametrize(
    "member",
    [
        "../evil",
        "in/../../evil",
        "/evil",
        link("in/a", "/"),
        link("in/a", "../../evil"),
        link("in/a", "../evil", tarfile.LNKTYPE),
    ],
    ids=lambda m: m if isinstance(m, str) else f"{m.name} to {m.linkname}",
)
@pytest.mark.parametrize("filters", [True, False])
def test_a_tar_cannot_escape(
    member: tarfile.TarInfo | str,
    filters: bool,
    tmp_path: Path,
    target: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Also where Python has no filters yet."""
    if not filters:
        monkeypatch.delattr(tarfile, "data_filter")
    refused(write_tar(tmp_path / "a.tar", "in/x", member), target, "its member .*outside")


def test_a_chain_of_links_cannot_escape(
    tmp_path: Path, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each link alone stays inside; together they climb."""
    monkeypatch.delattr(tarfile, "data_filter")
    members = link("in/w/a", "b/../.."), link("in/w/b", "../../in"), "in/w/a/../../evil"
    refused(write_tar(tmp_path / "a.tar", *members), target, "outside")
    members = link("q/w/a", "b/../.."), link("q/w/b", "../../"), "q/w/a/evil"
    refused(write_tar(tmp_path / "b.tar", *members), target, "outside")


def test_devices_are_refused(tmp_path: Path, target: Path) -> None:
    fifo = tarfile.TarInfo("in/pipe")
    fifo.type = tarfile.FIFOTYPE
    refused(write_tar(tmp_path / "a.tar", fifo), target, "'in/pipe' is neither file")


@pytest.mark.parametrize("name", ["../evil", "/evil", "in/../../evil", "..\\evil"])
def test_a_zip_cannot_escape(name: str, tmp_path: Path, target: Path) -> None:
    refused(write_zip(tmp_path / "a.zip", "in/x", name), target, "its member .*outside")


def test_links_in_a_zip_are_refused(tmp_path: Path, target: Path) -> None:
    info = zipfile.ZipInfo("in/link")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        file.writestr(info, "/")
    refused(tmp_path / "a.zip", target, "'in/link' is a link")


@pytest.mark.parametrize("name", ["a.tar", "a.tar.gz", "a.zip"])
@pytest.mark.parametrize("keep", [0.0, 0.1, 0.5, 0.9])
def test_cut_archives(name: str, keep: float, tmp_path: Path, target: Path) -> None:
    write = write_zip if name.endswith("zip") else write_tar
    archive = write(tmp_path / name, "in/x", "in/y", "in/z")
    data = archive.read_bytes()
    archive.write_bytes(data[: int(keep * len(data))])
    refused(archive, target, "is damaged or cut short .*: remove it and fetch it again")


def test_a_tar_cut_between_members(tmp_path: Path, target: Path) -> None:
    archive = write_tar(tmp_path / "a.tar", "in/x", "in/y")
    size = tarfile.BLOCKSIZE + len(BODY)
    archive.write_bytes(archive.read_bytes()[: -(-size // 512) * 512])
    refused(archive, target, "no end mark")


def test_flipped_bytes_in_a_zip(tmp_path: Path, target: Path) -> None:
    archive = write_zip(tmp_path / "a.zip", "in/x")
    data = bytearray(archive.read_bytes())
    data[1000] ^= 1
    archive.write_bytes(data)
    refused(archive, target, "damaged")


def test_another_archive(tmp_path: Path, target: Path) -> None:
    refused(write_tar(tmp_path / "a.tar", "out/x"), target, "expected the folder in in it, found o")
    archive = write_tar(tmp_path / "b.tar", "in/x.png")
    with pytest.raises(UserError, match=r"expected 2,975 files \*\.png, found 1"):
        unpack(archive, "in", target, {"*.png": 2975})
    assert not target.exists()


def test_what_a_killed_process_left_is_replaced(tmp_path: Path, target: Path) -> None:
    left = target.with_name(".target.unpacking")
    (left / "in").mkdir(parents=True)
    (left / "in" / "half").write_text("")
    unpack(write_tar(tmp_path / "a.tar", "in/x"), "in", target, {})
    assert [p.name for p in target.iterdir()] == ["x"]
    assert not left.exists()


def test_a_full_disk_is_foreseen(
    tmp_path: Path, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1000))
    archive = write_tar(tmp_path / "a.tar", "in/x")
    refused(archive, target, "must be free")
