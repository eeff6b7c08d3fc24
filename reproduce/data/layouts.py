"""Where VOC and CamVid keep their images and masks. Needs no torch: the driver reads it too."""

from pathlib import Path

from reproduce.data.samples import Sample, check_files, read_list
from reproduce.data.sbd import trainaug_samples
from reproduce.errors import UserError


def voc_root(root: Path) -> Path:
    """The folder of VOC 2012 (with ``JPEGImages``) at, or under, ``root``.

    Raises:
        UserError: If there is none.
    """
    for folder in (root, root / "VOC2012", root / "VOCdevkit" / "VOC2012"):
        if (folder / "JPEGImages").is_dir():
            return folder
    raise UserError(
        f"expected a VOC root (VOCdevkit, or a folder that holds JPEGImages) at {root}, found "
        f"{'another folder' if root.is_dir() else 'nothing'}: fetch it with reproduce data "
        f"prepare voc --data {root}, or name its folder with DATA= (or --data)"
    )


def voc_samples(root: Path, split: str) -> list[Sample]:
    """Images and masks of a split under a VOC root.

    Args:
        root: Any folder that :func:`voc_root` accepts.
        split: ``trainaug``, with SBD's annotations (:mod:`reproduce.data.sbd`), or the name of a
            list in ``ImageSets/Segmentation``: ``train``, ``val``, ``trainval``.

    Raises:
        UserError: If the root, a list, an image or a mask is missing.
    """
    folder = voc_root(root)
    hint = f"{folder} seems half unpacked: unpack the archive again"
    lists = folder / "ImageSets" / "Segmentation"
    if split == "trainaug":
        train, val = (read_list(lists / f"{part}.txt", hint) for part in ("train", "val"))
        return check_files(trainaug_samples(root, folder, train, val), hint)
    return check_files(
        [
            Sample(
                name,
                folder / "JPEGImages" / f"{name}.jpg",
                folder / "SegmentationClass" / f"{name}.png",
            )
            for name in read_list(lists / f"{split}.txt", hint)
        ],
        hint,
    )


def camvid_samples(root: Path, split: str) -> list[Sample]:
    """Images and masks of ``<split>.txt`` (two columns) under a CamVid root.

    Raises:
        UserError: If the root, the list, an image or a mask is missing.
    """
    root = root / "camvid" if (root / "camvid" / "train.txt").is_file() else root
    hint = "expected CamVid with train.txt, val.txt and test.txt; name its folder with DATA="
    samples = []
    for line in read_list(root / f"{split}.txt", hint):
        columns = line.split()
        if len(columns) != 2:
            raise UserError(f"{root / split}.txt: expected 'image mask' a line, found {line!r}")
        image, mask = columns
        samples.append(Sample(Path(image).stem, root / image, root / mask))
    return check_files(samples, hint)
