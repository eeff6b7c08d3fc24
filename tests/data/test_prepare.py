"""Preparation of the published data sets from tiny archives in their true layouts."""

import fcntl
import io
import os
import re
import signal
import subprocess
import sys
import tarfile
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from reproduce.data import catalog, download, prepare
from reproduce.data.archives import Archive, Recipe, recipe
from reproduce.data.layouts import voc_samples
from reproduce.errors import UserError
from tests.conftest import make_voc
from tests.data.server import Server, serve

VOC = "VOCdevkit/VOC2012"


def tarred(folder: Path, name: str, compress: str = "") -> bytes:
    """A folder as a tar whose members start with ``name``."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode=f"w:{compress}") as tar:  # type: ignore[call-overload]
        tar.add(folder, name)
    return file.getvalue()


def make_sbd(root: Path) -> Path:
    for path in ("img/1.jpg", "cls/1.mat", "inst/1.mat", "train.txt", "val.txt"):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text("1\n")
    return root


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "WAITS", (0.0,))


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    voc = make_voc(tmp_path / "made") / "VOC2012"
    sbd = make_sbd(tmp_path / "made" / "sbd")
    files = {
        "voc.tar": tarred(voc, VOC),
        "benchmark.tgz": tarred(sbd, "benchmark_RELEASE/dataset", "gz"),
    }
    with serve(files=files) as running:
        yield running


@pytest.fixture
def plan(server: Server) -> Recipe:
    return Recipe(
        (
            Archive("voc.tar", VOC, VOC, server.source("voc.tar")),
            Archive(
                "benchmark.tgz",
                "benchmark_RELEASE/dataset",
                "sbd",
                server.source("benchmark.tgz"),
            ),
        )
    )


def visible(root: Path) -> set[str]:
    return {path.name for path in root.iterdir() if not path.name.startswith(".")}


def test_voc_and_sbd(
    plan: Recipe, server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "data"
    prepare.assemble(root, plan)
    assert len(voc_samples(root, "train")) == 4
    assert visible(root) == {"VOCdevkit", "sbd", "downloads"}
    assert visible(root / "sbd") == {"img", "cls", "inst", "train.txt", "val.txt"}
    assert "voc.tar is no longer needed" in capsys.readouterr().out

    before = {path: path.stat().st_mtime_ns for path in root.rglob("*")}
    prepare.assemble(root, plan)
    assert capsys.readouterr().out.count("is there: left as it is") == 2
    assert {path: path.stat().st_mtime_ns for path in root.rglob("*")} == before
    assert len(server.seen) == 2


def test_a_root_that_is_the_devkit(plan: Recipe, server: Server, tmp_path: Path) -> None:
    """The user's own VOC is neither fetched again nor touched."""
    make_voc(tmp_path / "own")
    prepare.assemble(tmp_path / "own", plan)
    assert len(server.seen) == 1
    assert visible(tmp_path / "own") == {"VOC2012", "sbd", "downloads"}


def test_archives_brought_by_hand_need_no_network(
    plan: Recipe, server: Server, tmp_path: Path
) -> None:
    for name, content in server.files.items():
        (tmp_path / "data" / "downloads").mkdir(parents=True, exist_ok=True)
        (tmp_path / "data" / "downloads" / name).write_bytes(content)
    prepare.assemble(tmp_path / "data", plan)
    assert not server.seen


def test_a_failure_leaves_nothing_that_looks_complete(
    plan: Recipe, server: Server, tmp_path: Path
) -> None:
    server.files["voc.tar"] = server.files["voc.tar"][:20_000]
    bad = Recipe((plan.archives[0]._replace(source=server.source("voc.tar")), plan.archives[1]))
    root = tmp_path / "data"
    with pytest.raises(UserError, match=r"voc\.tar is damaged or cut short"):
        prepare.assemble(root, bad)
    assert not list((root / "VOCdevkit").iterdir())
    assert visible(root) == {"VOCdevkit", "downloads"}


KILLED = """
import sys, time, tarfile
from pathlib import Path
from reproduce.data import archives, prepare, download
extract = tarfile.TarFile.extract
def slow(self, *words, **options):
    time.sleep(0.05)
    extract(self, *words, **options)
tarfile.TarFile.extract = slow
source = download.Source(*sys.argv[2:5])
place = "VOCdevkit/VOC2012"
plan = archives.Recipe((archives.Archive(source.filename, place, place, source),))
prepare.assemble(Path(sys.argv[1]), plan)
"""


def test_killed_while_unpacking(plan: Recipe, server: Server, tmp_path: Path) -> None:
    """The download is kept, the half-unpacked folder is not taken for the data set."""
    root = tmp_path / "data"
    source = server.source("voc.tar")
    process = subprocess.Popen([sys.executable, "-c", KILLED, str(root), *source])
    work = root / "VOCdevkit" / ".VOC2012.unpacking"
    deadline = time.monotonic() + 60
    while not list(work.rglob("*.jpg")) and time.monotonic() < deadline:
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert list(work.rglob("*.jpg"))
    assert not (root / VOC).exists()

    prepare.assemble(root, plan)
    assert len(voc_samples(root, "train")) == 4
    assert not work.exists()
    assert len(server.seen) == 2, "VOC and SBD once each"


def test_one_preparation_at_a_time(plan: Recipe, tmp_path: Path) -> None:
    with (tmp_path / ".prepare.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(UserError, match="another process prepares data in"):
            prepare.assemble(tmp_path, plan)


def test_an_unwritable_root(plan: Recipe, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"file/data cannot be written .*--data"):
        prepare.assemble(tmp_path / "file" / "data", plan)


def zipped(path: Path, *names: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as file:
        for name in names:
            file.writestr(name, "png")


def cityscapes(tmp_path: Path, counts: int) -> Recipe:
    """The recipe with smaller counts, and archives in the true layout with one image a split."""
    plan = recipe("cityscapes")
    assert plan is not None
    for kind, suffix in (("leftImg8bit", "leftImg8bit"), ("gtFine", "gtFine_labelIds")):
        names = [f"{kind}/{s}/ulm/ulm_000000_000019_{suffix}.png" for s in ("train", "val")]
        zipped(tmp_path / "cityscapes" / f"{kind}_trainvaltest.zip", "license.txt", *names)
    small = [a._replace(counts=dict.fromkeys(a.counts, counts)) for a in plan.archives]
    return plan._replace(archives=tuple(small))


def test_cityscapes_from_the_archives_of_the_user(tmp_path: Path) -> None:
    prepare.assemble(tmp_path, cityscapes(tmp_path, 1))
    assert visible(tmp_path) == {"cityscapes"}
    assert len(list((tmp_path / "cityscapes/gtFine").rglob("*_labelIds.png"))) == 2
    assert len(list((tmp_path / "cityscapes/leftImg8bit").rglob("*.png"))) == 2


def test_cityscapes_counts(tmp_path: Path) -> None:
    cityscapes(tmp_path, 1)
    plan = recipe("cityscapes")
    assert plan is not None
    with pytest.raises(UserError, match=r"expected 2,975 files train/\*/\*_leftImg8bit.png, found"):
        prepare.assemble(tmp_path, plan)
    assert not (tmp_path / "cityscapes/leftImg8bit").exists()


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("cityscapes", ["leftImg8bit_trainvaltest.zip", "gtFine_trainvaltest.zip", "log in at"]),
        ("context", ["trainval.tar.gz", "labels.txt", "59_labels.txt", "Stanford"]),
        ("camvid", ["train.txt", "val.txt", "test.txt", "SegNet layout"]),
    ],
)
def test_what_only_the_user_can_fetch_is_said_first(
    name: str, words: list[str], tmp_path: Path
) -> None:
    plan = recipe(name)
    assert plan is not None
    with pytest.raises(UserError, match=r"^missing .* the same command again$") as error:
        prepare.assemble(tmp_path / "new", plan)
    text = str(error.value)
    assert "\n" not in text
    assert all(word in text for word in [*words, str(tmp_path / "new" / name)])
    assert not (tmp_path / "new").exists()


def test_context(server: Server, tmp_path: Path) -> None:
    """The user's label archive is unpacked; VOC 2010 is fetched."""
    server.files["voc10.tar"] = tarred(tmp_path / "made" / "VOC2012", "VOCdevkit/VOC2010")
    true = recipe("context")
    assert true is not None
    labels, voc = true.archives
    plan = true._replace(
        archives=(
            labels._replace(counts={"*.mat": 2}),
            voc._replace(source=server.source("voc10.tar")),
        )
    )
    folder = tmp_path / "data" / "context"
    folder.mkdir(parents=True)
    for name in plan.files:
        (tmp_path / "data" / name).write_text("1: aeroplane\n")
    mats = tmp_path / "mats"
    mats.mkdir()
    for name in ("2008_000002.mat", "2008_000003.mat"):
        (mats / name).write_text("")
    (folder / "trainval.tar.gz").write_bytes(tarred(mats, "trainval", "gz"))
    prepare.assemble(tmp_path / "data", plan)
    assert visible(folder / "trainval") == {"2008_000002.mat", "2008_000003.mat"}
    assert (tmp_path / "data/VOCdevkit/VOC2010/JPEGImages").is_dir()


def test_camvid_in_place(camvid: Path) -> None:
    plan = recipe("camvid")
    assert plan is not None
    prepare.assemble(camvid.parent, plan)
    prepare.assemble(camvid, plan)


def test_addresses_and_hashes_are_torchvisions() -> None:
    plans = [plan for plan in map(recipe, ("voc", "context")) if plan is not None]
    sources = [archive.source for plan in plans for archive in plan.archives if archive.source]
    assert [source.filename for source in sources] == [
        "VOCtrainval_11-May-2012.tar",
        "benchmark.tgz",
        "VOCtrainval_03-May-2010.tar",
    ]
    assert all(re.fullmatch(r"https://[\w.]+\.(ac\.uk|edu)/.*", s.url) for s in sources)
    assert all(re.fullmatch(r"[0-9a-f]{32}", s.md5) for s in sources)


def test_generated_sets_are_made(tmp_path: Path) -> None:
    made: list[Path] = []
    data = catalog.DATA_SETS["reproduce.data.ShapesDataModule"]._replace(make=made.append)
    prepare.prepare(data, tmp_path)
    assert made == [tmp_path]


def test_nothing_known(tmp_path: Path) -> None:
    data = catalog.DATA_SETS["reproduce.data.VOCDataModule"]._replace(name="other")
    with pytest.raises(UserError, match="can be neither generated nor fetched"):
        prepare.prepare(data, tmp_path)


def test_every_published_set_has_a_recipe() -> None:
    for data in catalog.DATA_SETS.values():
        assert (data.make is None) == (recipe(data.name) is not None), data.name
