"""Lists of images and masks: what every layout shares. Needs no torch."""

from pathlib import Path
from typing import NamedTuple

from reproduce.errors import UserError


class Sample(NamedTuple):
    """One image and its mask.

    Attributes:
        name: Id of the image.
        image: RGB image file.
        mask: Labels: a palette or grey PNG, or a MATLAB file.
    """

    name: str
    image: Path
    mask: Path


def read_list(path: Path, hint: str) -> list[str]:
    """Lines of a list of images, in its order.

    Args:
        path: The list.
        hint: What to do if it is missing.

    Raises:
        UserError: If the list is missing or empty, or holds a line twice.
    """
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


def check_files(samples: list[Sample], hint: str) -> list[Sample]:
    """The samples, if all of their files exist.

    Raises:
        UserError: Naming the first missing file, with the hint.
    """
    for kind in ("image", "mask"):
        missing = [s for s in samples if not getattr(s, kind).is_file()]
        if missing:
            first = missing[0]
            raise UserError(
                f"{len(missing)} of {len(samples)} {kind}s are missing, the first is "
                f"{getattr(first, kind)}: {hint}"
            )
    return samples
