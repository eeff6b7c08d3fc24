"""Which pictures are meant, and names of what is made of them that hurt nobody."""

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from reproduce.errors import UserError

#: Endings of the files taken from folders; a file named by itself may have any.
ENDINGS = frozenset(
    (
        *(".avif", ".bmp", ".gif", ".jfif", ".jp2", ".jpe", ".jpeg", ".jpg", ".pbm", ".pgm"),
        *(".png", ".ppm", ".tif", ".tiff", ".webp"),
    )
)

#: Written into every picture made here, which so can be told from the user's.
MARK = "reproduce segment"


class Picture(NamedTuple):
    """A picture and what its results are called.

    Attributes:
        source: The user's file.
        stem: Path of the results without their endings.
    """

    source: Path
    stem: Path

    def result(self, ending: str) -> Path:
        """Path of one result."""
        return self.stem.with_name(self.stem.name + ending)


def made_here(path: Path) -> bool:
    """Whether a file was written by this command."""
    try:
        with Image.open(path) as file:
            said = file.info.get("Software", file.info.get("comment", b""))
    except Exception:  # noqa: BLE001 - whatever it is, it is not ours
        return False
    return (said.decode("latin-1") if isinstance(said, bytes) else str(said)) == MARK


def _walk(folder: Path) -> Iterator[Path]:
    """Pictures under a folder, hidden files and results of this command left out."""
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            path = Path(place, name)
            known = path.suffix.lower() in ENDINGS and not name.startswith(".")
            if known and not made_here(path):
                yield path


def find_pictures(inputs: Sequence[Path]) -> list[tuple[Path, Path]]:
    """Pictures, each once, and the folder of its results relative to that of all.

    Args:
        inputs: Files and folders. The tree of a folder is kept; of several folders each one is
            kept under its own name.

    Raises:
        UserError: If one of them does not exist or there are no pictures.
    """
    for path in inputs:
        if not path.exists():
            raise UserError(f"{path} does not exist: expected pictures or folders of pictures")
    folders = sum(path.is_dir() for path in inputs)
    found: dict[Path, tuple[Path, Path]] = {}
    for path in inputs:
        if path.is_dir():
            top = Path(path.resolve().name) if folders > 1 else Path()
            for picture in _walk(path):
                place = top / picture.relative_to(path).parent
                found.setdefault(picture.resolve(), (picture, place))
        else:
            found.setdefault(path.resolve(), (path, Path()))
    if not found:
        raise UserError(
            f"no pictures in {', '.join(map(str, inputs))}: expected {', '.join(sorted(ENDINGS))}"
        )
    return list(found.values())


def plan(inputs: Sequence[Path], out: Path, endings: Sequence[str]) -> list[Picture]:
    """Names for the results of all pictures.

    ``a.jpg`` gives ``a``; ``a.jpg`` and ``a.png`` in one folder give ``a_jpg`` and ``a_png``. A
    name is not used if one of its files would replace a picture of the user, or another result.

    Args:
        inputs: As for :func:`find_pictures`.
        out: Folder of the results.
        endings: Of the files written for a picture.

    Raises:
        UserError: As :func:`find_pictures`.
    """
    found = find_pictures(inputs)
    shared = Counter((place, source.stem.casefold()) for source, place in found)
    taken = {str(source.resolve()).casefold() for source, _ in found}
    pictures = []
    for source, place in found:
        kind = f"_{source.suffix[1:].lower()}" if source.suffix else ""
        plain = [source.stem] if shared[place, source.stem.casefold()] == 1 else []
        names = (f"{source.stem}{kind}_{i}" for i in count(2))
        for name in (*plain, f"{source.stem}{kind}", *(next(names) for _ in range(len(found)))):
            picture = Picture(source, out / place / name)
            results = [picture.result(ending) for ending in endings]
            keys = {str(path.resolve()).casefold() for path in results}
            if not keys & taken and all(made_here(p) for p in results if p.exists()):
                taken |= keys
                pictures.append(picture)
                break
        else:
            raise UserError(f"no free name for {source} in {out}: choose another folder with --out")
    return pictures
