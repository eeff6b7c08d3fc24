"""Which archives each published data set consists of, and where their folders belong."""

from collections.abc import Mapping
from typing import NamedTuple

from reproduce.data.download import Source


class Archive(NamedTuple):
    """One archive, and the folder that it gives.

    Attributes:
        filename: Name of the archive.
        inside: Folder of the archive that is wanted.
        target: Where that folder belongs, under the root.
        source: Where it is fetched; None if the user has to.
        counts: Patterns under the folder and how many files each must match.
    """

    filename: str
    inside: str
    target: str
    source: Source | None = None
    counts: Mapping[str, int] = {}


class Recipe(NamedTuple):
    """How a data set gets onto the disk.

    Attributes:
        archives: What is unpacked.
        by_hand: What to do where files must be fetched by the user; ``{folder}`` is their place.
        files: Further files that the user provides, under the root.
    """

    archives: tuple[Archive, ...]
    by_hand: str = ""
    files: tuple[str, ...] = ()


def _voc(year: str) -> Archive:
    from torchvision.datasets.voc import DATASET_YEAR_DICT

    entry = DATASET_YEAR_DICT[year]
    source = Source(entry["url"], entry["filename"], entry["md5"])
    folder = f"VOCdevkit/VOC{year}"
    return Archive(source.filename, folder, folder, source)


def _sbd() -> Archive:
    from torchvision.datasets.sbd import SBDataset

    source = Source(SBDataset.url, SBDataset.filename, SBDataset.md5)
    return Archive(source.filename, "benchmark_RELEASE/dataset", "sbd", source)


def _cityscapes(kind: str, suffix: str) -> Archive:
    return Archive(
        f"{kind}_trainvaltest.zip",
        kind,
        f"cityscapes/{kind}",
        counts={f"train/*/*_{suffix}.png": 2975, f"val/*/*_{suffix}.png": 500},
    )


def recipe(name: str) -> Recipe | None:
    """How a published data set is put together; addresses and hashes are torchvision's.

    Args:
        name: Name of the data set.

    Returns:
        Its recipe, or None if there is none of that name.
    """
    if name == "voc":
        return Recipe((_voc("2012"), _sbd()))
    if name in {"context", "context59"}:
        labels = Archive(
            "trainval.tar.gz", "trainval", "context/trainval", counts={"*.mat": 10_103}
        )
        return Recipe(
            (labels, _voc("2010")),
            "fetch trainval.tar.gz (trainval/*.mat), labels.txt and 59_labels.txt from the page of "
            "the PASCAL-Context authors at Stanford (Mottaghi et al., CVPR 2014) and put them into "
            "{folder}",
            ("context/labels.txt", "context/59_labels.txt"),
        )
    if name == "cityscapes":
        return Recipe(
            (
                _cityscapes("leftImg8bit", "leftImg8bit"),
                _cityscapes("gtFine", "gtFine_labelIds"),
            ),
            "log in at www.cityscapes-dataset.com, fetch leftImg8bit_trainvaltest.zip and "
            "gtFine_trainvaltest.zip and put them into {folder}",
        )
    if name == "camvid":
        return Recipe(
            (),
            "get CamVid with 11 classes in the SegNet layout (train.txt, val.txt and test.txt, "
            "each line 'image mask' relative to them; grey masks, 11 is void) and put it into "
            "{folder}",
            ("camvid/train.txt", "camvid/val.txt", "camvid/test.txt"),
        )
    return None
