"""PASCAL-Context in its official layout: images of VOC 2010, labels as MATLAB files.

Source: Mottaghi et al., The Role of Context for Object Detection and Semantic Segmentation in the
Wild, CVPR 2014; the choice of classes by name is that of the FCN authors' data layer. The labels
number 459 names by ``labels.txt``; ``59_labels.txt`` lists the 59 that are evaluated.
"""

import re
from pathlib import Path

from reproduce.data.labels import VOID
from reproduce.data.samples import Sample, check_files, read_list
from reproduce.errors import UserError

#: Names that ``59_labels.txt`` spells differently from ``labels.txt``.
RENAMED = {"diningtable": "table", "bedcloth": "bedclothes", "clothes": "cloth"}


def _first(kind: str, root: Path, folders: tuple[Path, ...], inside: str) -> Path:
    for folder in folders:
        if (folder / inside).is_dir():
            return folder
    raise UserError(
        f"expected the {kind} of PASCAL-Context ({folders[0].name}/{inside}) at {root}, found "
        f"{'other files' if root.is_dir() else 'nothing'}: reproduce data prepare context --data "
        f"{root}"
    )


def context_folders(root: Path) -> tuple[Path, Path]:
    """The folder of VOC 2010 and that of the labels.

    Args:
        root: Holds ``VOC2010`` and ``context`` (or ``pascal-context``), each of them also in
            ``VOCdevkit``; or is itself the folder of labels.

    Raises:
        UserError: If one is missing.
    """
    bases = (root, root / "VOCdevkit")
    labels = tuple(base / name for base in bases for name in ("context", "pascal-context"))
    return (
        _first("images", root, tuple(base / "VOC2010" for base in bases), "JPEGImages"),
        _first("labels", root, (*labels, root), "trainval"),
    )


def context_samples(root: Path, split: str) -> list[Sample]:
    """Images and masks of ``ImageSets/Main/<split>.txt`` of VOC 2010.

    Args:
        root: Any folder that :func:`context_folders` accepts.
        split: ``train``, ``val`` or ``trainval``.

    Raises:
        UserError: If a folder, the list, an image or a mask is missing.
    """
    voc, labels = context_folders(root)
    hint = f"the data seem half unpacked: reproduce data prepare context --data {root}"
    lines = read_list(voc / "ImageSets" / "Main" / f"{split}.txt", hint)
    names = [line.split()[0] for line in lines]
    return check_files(
        [
            Sample(n, voc / "JPEGImages" / f"{n}.jpg", labels / "trainval" / f"{n}.mat")
            for n in names
        ],
        hint,
    )


def _numbered_names(path: Path, root: Path) -> dict[str, int]:
    """Name -> number of the lines ``number: name`` of a file; spaces in names do not count."""
    hint = f"reproduce data prepare context --data {root}"
    found: dict[str, int] = {}
    for line in read_list(path, hint):
        match = re.fullmatch(r"(\d+)\s*:\s*(\S.*)", line)
        if match is None:
            raise UserError(f"{path}: expected 'number: name' a line, found {line!r}: {hint}")
        name = match[2].replace(" ", "")
        if name in found or int(match[1]) in found.values():
            raise UserError(f"{path} has {line!r} and another line of that name or number: {hint}")
        found[name] = int(match[1])
    return found


def context_ids(root: Path, names: tuple[str, ...]) -> dict[int, int]:
    """Training id of each label, by name.

    Args:
        root: Any folder that :func:`context_folders` accepts.
        names: Classes in the order of the training ids. With ``background`` first, labels that
            are no class are background, a class like any other; without, they are void.

    Returns:
        Label in the files -> training id; 0 is an unlabelled pixel.

    Raises:
        UserError: If ``labels.txt`` or ``59_labels.txt`` is missing or disagrees with ``names``.
    """
    _, folder = context_folders(root)
    numbers = _numbered_names(folder / "labels.txt", root)
    path = folder / "59_labels.txt"
    chosen = [RENAMED.get(name, name) for name in _numbered_names(path, root)]
    background = names[0] == "background"
    wanted = list(names[background:])
    if chosen != wanted:
        pairs = zip((*wanted, None), (*chosen, None), strict=False)
        line, (want, found) = next((i, p) for i, p in enumerate(pairs, 1) if p[0] != p[1])
        raise UserError(
            f"{path} line {line}: expected {want or 'no more names'}, found "
            f"{found or 'no more names'}: reproduce data prepare context --data {root}"
        )
    missing = [name for name in wanted if name not in numbers]
    if missing:
        raise UserError(
            f"{folder / 'labels.txt'} lacks {missing[0]}, expected all {len(wanted)} names of "
            f"{path.name}: reproduce data prepare context --data {root}"
        )
    other = dict.fromkeys((0, *numbers.values()), 0 if background else VOID)
    return other | {numbers[name]: i for i, name in enumerate(wanted, int(background))}
