"""``reproduce data verify``: every file of a data set decoded, checked and counted."""

import json
import stat
from collections.abc import Mapping
from pathlib import Path

from reproduce.data.catalog import DataSet
from reproduce.data.manifest import data_manifest, examination_bar
from reproduce.errors import UserError
from reproduce.files import write_atomically

#: Splits without which a data set is of no use.
NEEDED = ("train", "val")


def _splits(data: DataSet, root: Path) -> tuple[list[str], list[str]]:
    """Splits that are there, and a line for each optional one that is not."""
    there, lines = list(NEEDED), []
    for split in data.official:
        if split not in NEEDED:
            try:
                data.samples(root, split)
                there.append(split)
            except UserError as error:
                lines.append(f"{split} is left out: {error}")
    return there, lines


def _count_line(split: str, counts: Mapping[str, int], official: int | None) -> str:
    images = counts["images"]
    line = f"{split:<10}{images:>8,} images"
    if official is not None:
        line += ", the official count" if images == official else f", officially {official:,}"
    return f"{line}; {counts['valid_pixels']:,} labelled pixels"


def _write(root: Path, name: str, text: str) -> str:
    """Write beside the data unless their folder is read-only, for the superuser as well."""
    if not root.stat().st_mode & (stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH):
        return f"{name} is not written: {root} is read-only"
    try:
        write_atomically(root / name, text)
    except OSError as error:
        return f"{name} is not written: {error.strerror}"
    return f"written to {root / name}"


def verify(data: DataSet, root: Path, cache: Path) -> str:
    """Decode every image and mask once; sizes and labels must be right.

    Args:
        data: Which data set.
        root: Its root; the manifest is written there as ``<name>.manifest.json`` where possible.
        cache: Folder of examinations, shared with the runs.

    Returns:
        What was found, in lines.

    Raises:
        UserError: Naming the first bad file and how many there are.
    """
    splits, left_out = _splits(data, root)
    manifest = data_manifest(data, root, tuple(splits), cache, examination_bar)
    lines = [f"{data.name} in {root}: every file decodes, sizes and labels are right"]
    lines += [_count_line(s, c, data.official.get(s)) for s, c in manifest["splits"].items()]
    lines += [*left_out, f"digest {manifest['digest']}"]
    lines.append(_write(root, f"{data.name}.manifest.json", json.dumps(manifest, indent=1) + "\n"))
    return "\n".join(lines)
