"""Data sets that are damaged, incomplete or others than they should be."""

import shutil
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from reproduce.data.catalog import DATA_SETS
from reproduce.data.download import Source, download
from reproduce.data.unpack import unpack
from reproduce.data.verify import verify
from tests.conftest import make_camvid, make_context, make_voc, write_mask
from tests.data.test_unpack import link, write_tar
from tests.faults.place import Place
from tests.faults.registry import case

AREA = "Data"

#: What is kept where data is only looked at.
UNTOUCHED = "every file as it was"


def own(place: Place) -> Path:
    """A data set of the case's own, in VOC's layout."""
    make_voc(place.folder / "voc", classes=7)
    place.data = place.folder / "voc"
    return place.data / "VOC2012"


def first(folder: Path, pattern: str) -> Path:
    return min(folder.glob(pattern))


def begun(place: Place) -> str:
    """What the driver of a table says of the data."""
    return place.mistake(*place.words())


@case(AREA, "`DATA=` names an empty folder")
def no_root(place: Place) -> str:
    return place.mistake("data", "verify", "voc", "--data", str(place.folder))


@case(AREA, "`DATA=` of the demo names a folder with other files", UNTOUCHED)
def other_files(place: Place) -> str:
    place.data = place.folder / "photos"
    place.data.mkdir()
    (place.data / "holiday.jpg").write_text("")
    message = begun(place)
    assert [path.name for path in place.data.iterdir()] == ["holiday.jpg"]
    return message


@case(AREA, "the list of a split is missing", UNTOUCHED)
def no_list(place: Place) -> str:
    (own(place) / "ImageSets/Segmentation/val.txt").unlink()
    return begun(place)


@case(AREA, "the list of a split is empty", UNTOUCHED)
def empty_list(place: Place) -> str:
    (own(place) / "ImageSets/Segmentation/val.txt").write_text("\n")
    return begun(place)


@case(AREA, "a list names an image twice", UNTOUCHED)
def twice(place: Place) -> str:
    path = own(place) / "ImageSets/Segmentation/train.txt"
    path.write_text(path.read_text() * 2)
    return begun(place)


@case(AREA, "an image is missing", UNTOUCHED)
def no_image(place: Place) -> str:
    first(own(place), "JPEGImages/*val*").unlink()
    return begun(place)


@case(AREA, "a JPEG is cut", UNTOUCHED)
def cut_jpeg(place: Place) -> str:
    path = first(own(place), "JPEGImages/*train*")
    path.write_bytes(path.read_bytes()[:300])
    return begun(place)


@case(AREA, "a mask has another size than its image", UNTOUCHED)
def other_size(place: Place) -> str:
    write_mask(first(own(place), "SegmentationClass/*"), np.zeros((9, 9)))
    return begun(place)


@case(AREA, "a mask holds labels of another data set", UNTOUCHED)
def other_labels(place: Place) -> str:
    path = first(own(place), "SegmentationClass/*")
    labels = np.array(Image.open(path))
    labels[0, 0] = 19
    write_mask(path, labels)
    return begun(place)


@case(AREA, "a mask is a coloured picture", UNTOUCHED)
def coloured(place: Place) -> str:
    path = first(own(place), "SegmentationClass/*")
    Image.open(path).convert("RGB").save(path)
    return begun(place)


@case(AREA, "generated data was changed", UNTOUCHED)
def changed(place: Place) -> str:
    make_voc(place.folder / "shapes", classes=7)
    (place.folder / "shapes" / "shapes.json").write_text('{"version": "1", "masks_sha256": "0"}')
    place.data = place.folder / "shapes"
    return begun(place)


def looked_at(place: Place, name: str, root: Path) -> str:
    data = next(data for data in DATA_SETS.values() if data.name == name)
    return place.refusal(verify, data, root, place.folder / "cache")


@case(AREA, "a line of CamVid's list has one column", UNTOUCHED)
def one_column(place: Place) -> str:
    root = make_camvid(place.folder / "camvid")
    (root / "val.txt").write_text("val/0000.jpg\n")
    return looked_at(place, "camvid", root)


@case(AREA, "PASCAL-Context without its list of 459 names", UNTOUCHED)
def no_names(place: Place) -> str:
    root = make_context(place.folder / "data")
    (root / "context" / "labels.txt").unlink()
    return looked_at(place, "context59", root)


@case(AREA, "`trainaug` without SBD", UNTOUCHED)
def no_sbd(place: Place) -> str:
    make_voc(place.folder / "voc")
    voc = next(data for data in DATA_SETS.values() if data.name == "voc")
    return place.refusal(voc.split, place.folder / "voc", "trainaug")


@case(AREA, "`reproduce data prepare cityscapes` without its archives", "the empty folder")
def no_archives(place: Place) -> str:
    (place.folder / "data").mkdir()
    message = place.mistake("data", "prepare", "cityscapes", "--data", str(place.folder / "data"))
    assert not list((place.folder / "data").iterdir())
    return message


ARCHIVE = "the archive; nothing is unpacked"


def unpacked(place: Place, archive: Path, counts: dict[str, int] | None = None) -> str:
    """What is said of an archive; it alone is left."""
    before = sorted(place.folder.iterdir())
    message = place.refusal(unpack, archive, "in", place.folder / "target", counts or {})
    assert sorted(place.folder.iterdir()) == before
    return message


@case(AREA, "an archive is cut", ARCHIVE)
def cut_archive(place: Place) -> str:
    path = write_tar(place.folder / "a.tar", "in/1.png", "in/2.png")
    path.write_bytes(path.read_bytes()[:30000])
    return unpacked(place, path)


@case(AREA, "an archive is another file", ARCHIVE)
def no_archive(place: Place) -> str:
    (place.folder / "a.tar").write_text("<html>Not found</html>" * 99)
    return unpacked(place, place.folder / "a.tar")


@case(AREA, "an archive lacks the folder", ARCHIVE)
def no_folder(place: Place) -> str:
    return unpacked(place, write_tar(place.folder / "a.tar", "other/1.png"))


@case(AREA, "an archive lacks files", ARCHIVE)
def too_few(place: Place) -> str:
    return unpacked(place, write_tar(place.folder / "a.tar", "in/1.png"), {"*.png": 2913})


@case(AREA, "an archive's member climbs out of it", ARCHIVE)
def climbs(place: Place) -> str:
    return unpacked(place, write_tar(place.folder / "a.tar", "in/1.png", "../evil"))


@case(AREA, "an archive's link points outside", ARCHIVE)
def links(place: Place) -> str:
    return unpacked(place, write_tar(place.folder / "a.tar", link("in/a", "/etc")))


@case(AREA, "an archive holds a device", ARCHIVE)
def device(place: Place) -> str:
    info = tarfile.TarInfo("in/pipe")
    info.type = tarfile.FIFOTYPE
    return unpacked(place, write_tar(place.folder / "a.tar", info))


@case(AREA, "a download has another hash than the published one", "the file, renamed")
def wrong_hash(place: Place) -> str:
    (place.folder / "voc.tar").write_text("something else")
    source = Source("https://example.org/voc.tar", "voc.tar", "6cd6e144f989b92b3379bac3b3de84fd")
    message = place.refusal(download, source, place.folder)
    assert [path.name for path in place.folder.iterdir()] == ["voc.tar.wrong"]
    return message


@case(AREA, "a disk too small for an archive", "nothing is fetched or unpacked")
def no_room(place: Place) -> str:
    path = write_tar(place.folder / "a.tar", "in/1.png")
    with pytest.MonkeyPatch.context() as patch:
        usage = shutil.disk_usage(place.folder)._replace(free=1000)
        patch.setattr(shutil, "disk_usage", lambda _: usage)
        return unpacked(place, path)
