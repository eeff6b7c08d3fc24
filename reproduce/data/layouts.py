"""Where each data set keeps its images and masks. Needs no torch: the table driver reads it too."""

from pathlib import Path
from typing import NamedTuple

from reproduce.errors import UserError


class Sample(NamedTuple):
    """One image and its mask.

    Attributes:
        name: Id of the image.
        image: RGB image file.
        mask: Palette or grey PNG of labels.
    """

    name: str
    image: Path
    mask: Path


def _read_list(path: Path, hint: str) -> list[str]:
    try:
        lines = path.read_text().split("\n")
    except OSError:
        raise UserError(f"expected the list {path}, found none: {hint}") from None
    names = [line.strip() for line in lines if line.strip()]
    if not names:
        raise UserError(f"{path} is empty: {hint}")
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise UserError(f"{path} names {twice} more than once: remove the repeated line")
    return names


def _check_files(samples: list[Sample], hint: str) -> list[Sample]:
    for kind in ("image", "mask"):
        missing = [s for s in samples if not getattr(s, kind).is_file()]
        if missing:
            first = missing[0]
            raise UserError(
                f"{len(missing)} of {len(samples)} {kind}s are missing, the first is "
                f"{getattr(first, kind)}: {hint}"
            )
    return samples


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
        f"{'another folder' if root.is_dir() else 'nothing'}: unpack VOCtrainval_11-May-2012.tar "
        "and name the folder with DATA= (or --data)"
    )


def voc_samples(root: Path, split: str) -> list[Sample]:
    """Images and masks of ``ImageSets/Segmentation/<split>.txt`` under a VOC root.

    Raises:
        UserError: If the root, the list, an image or a mask is missing.
    """
    folder = voc_root(root)
    hint = f"{folder} seems half unpacked: unpack the archive again"
    return _check_files(
        [
            Sample(
                name,
                folder / "JPEGImages" / f"{name}.jpg",
                folder / "SegmentationClass" / f"{name}.png",
            )
            for name in _read_list(folder / "ImageSets" / "Segmentation" / f"{split}.txt", hint)
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
    for line in _read_list(root / f"{split}.txt", hint):
        columns = line.split()
        if len(columns) != 2:
            raise UserError(f"{root / split}.txt: expected 'image mask' a line, found {line!r}")
        image, mask = columns
        samples.append(Sample(Path(image).stem, root / image, root / mask))
    return _check_files(samples, hint)
