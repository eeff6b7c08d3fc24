"""Cityscapes in its official layout: a folder per split and city, label ids in grey PNGs."""

from pathlib import Path

from reproduce.data.samples import Sample, check_files
from reproduce.errors import UserError

IMAGE, MASK = "_leftImg8bit.png", "_gtFine_labelIds.png"


def cityscapes_samples(root: Path, split: str) -> list[Sample]:
    """Images and masks of a split, in the order of their cities and names.

    Args:
        root: Holds ``leftImg8bit`` and ``gtFine``, or a folder ``cityscapes`` that does.
        split: Folder in both, such as ``train`` or ``val``.

    Raises:
        UserError: If a folder is missing, or an image has no mask or a mask no image.
    """
    hint = f"reproduce data prepare cityscapes --data {root}"
    folder = next(
        (f for f in (root, root / "cityscapes") if (f / "leftImg8bit").is_dir()),
        None,
    )
    if folder is None:
        raise UserError(
            f"expected leftImg8bit and gtFine of Cityscapes at {root}, found "
            f"{'other files' if root.is_dir() else 'nothing'}: {hint}"
        )
    names: set[tuple[str, str]] = set()
    for part, suffix in (("leftImg8bit", IMAGE), ("gtFine", MASK)):
        found = (folder / part / split).glob(f"*/*{suffix}")
        members = {(path.parent.name, path.name.removesuffix(suffix)) for path in found}
        if not members:
            raise UserError(
                f"expected files *{suffix} in the folders of {folder / part / split}, found none: "
                f"{hint}"
            )
        names |= members
    return check_files(
        [
            Sample(
                name,
                folder / "leftImg8bit" / split / city / f"{name}{IMAGE}",
                folder / "gtFine" / split / city / f"{name}{MASK}",
            )
            for city, name in sorted(names)
        ],
        hint,
    )
