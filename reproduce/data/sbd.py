"""SBD's additional annotations of VOC images: the training set ``trainaug`` of 10,582 images.

Source: Hariharan et al., Semantic Contours from Inverse Detectors, ICCV 2011, and the set
operation that DeepLab and mmsegmentation use.
"""

from collections.abc import Iterable
from pathlib import Path

from reproduce.data.samples import Sample, read_list
from reproduce.errors import UserError


def trainaug_ids(
    sbd_train: Iterable[str],
    sbd_val: Iterable[str],
    voc_train: Iterable[str],
    voc_val: Iterable[str],
) -> list[str]:
    """Ids of ``trainaug``: both lists of SBD and VOC's train, without VOC's val, sorted.

    Example:
        >>> trainaug_ids(["c", "v"], ["a"], ["b", "c"], ["v"])
        ['a', 'b', 'c']
    """
    return sorted({*sbd_train, *sbd_val, *voc_train} - set(voc_val))


def sbd_root(root: Path, voc: Path) -> Path:
    """The folder of SBD (with ``cls``, ``train.txt`` and ``val.txt``) at a root or beside VOC.

    Args:
        root: Root of the data.
        voc: The folder of VOC 2012 under it.

    Raises:
        UserError: If there is none.
    """
    beside = (voc.parent, *([voc.parent.parent] if voc.parent.name == "VOCdevkit" else []))
    for base in dict.fromkeys((root, *beside)):
        for folder in (base / "sbd", base / "benchmark_RELEASE" / "dataset"):
            if (folder / "cls").is_dir():
                return folder
    raise UserError(
        f"trainaug needs SBD, expected sbd or benchmark_RELEASE/dataset (with cls, train.txt and "
        f"val.txt) at {root}, found neither: reproduce data prepare voc --data {root}"
    )


def trainaug_samples(
    root: Path, voc: Path, voc_train: list[str], voc_val: list[str]
) -> list[Sample]:
    """Images and masks of ``trainaug``.

    The masks of VOC's train have a void border and are preferred; those of SBD have none. The
    images are VOC's, or SBD's copies where VOC's folder lacks them.

    Args:
        root: Root of the data.
        voc: The folder of VOC 2012 under it.
        voc_train: Ids of VOC's list ``train``.
        voc_val: Ids of VOC's list ``val``.

    Raises:
        UserError: If SBD or one of its lists is missing.
    """
    sbd = sbd_root(root, voc)
    hint = f"{sbd} seems half unpacked: reproduce data prepare voc --data {root}"
    sbd_train, sbd_val = (read_list(sbd / f"{split}.txt", hint) for split in ("train", "val"))
    official = set(voc_train)
    samples = []
    for name in trainaug_ids(sbd_train, sbd_val, voc_train, voc_val):
        image, copy = voc / "JPEGImages" / f"{name}.jpg", sbd / "img" / f"{name}.jpg"
        mask = (
            voc / "SegmentationClass" / f"{name}.png"
            if name in official
            else sbd / "cls" / f"{name}.mat"
        )
        samples.append(
            Sample(name, copy if not image.is_file() and copy.is_file() else image, mask)
        )
    return samples
