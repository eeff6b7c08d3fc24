"""Manifest of a data set: every file decoded once, checked, hashed and counted."""

import contextlib
import hashlib
import json
import sys
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from reproduce.data.catalog import DataSet
from reproduce.data.images import read_pair
from reproduce.data.labels import VOID, ClassSet
from reproduce.data.samples import Sample
from reproduce.errors import UserError
from reproduce.files import read_json, write_atomically

#: Bumped when what a manifest says changes.
MANIFEST_VERSION = 1


def _examine(sample: Sample, classes: ClassSet) -> tuple[str, int] | str:
    """Hash and number of valid pixels of a sample, or what is wrong with it."""
    try:
        _, mask = read_pair(sample, classes)
        digests = [hashlib.sha256(p.read_bytes()).hexdigest() for p in (sample.image, sample.mask)]
    except UserError as error:
        return str(error)
    return " ".join((sample.name, *digests)), int(np.count_nonzero(mask != VOID))


def _renumbering(classes: ClassSet) -> str:
    """The labels that are neither void nor already the number of their class; often none."""
    changed = {k: v for k, v in sorted(classes.ids.items()) if v not in {k, VOID}}
    return json.dumps(changed) if changed else ""


def _stamp(samples: Mapping[str, list[Sample]], classes: ClassSet) -> str:
    """Changes whenever a file is added, removed, resized or written, or a label renumbered."""
    digest = hashlib.sha256(f"{MANIFEST_VERSION}{_renumbering(classes)}".encode())
    for split, members in samples.items():
        for sample in members:
            for path in (sample.image, sample.mask):
                stat = path.stat()
                digest.update(f"{split} {path} {stat.st_size} {stat.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def examination_bar(items: Iterable[Any], total: int) -> Iterable[Any]:
    """Progress of :func:`data_manifest` on a terminal."""
    return tqdm(items, "checking data", total, disable=not sys.stderr.isatty())


def data_manifest(
    data: DataSet,
    root: Path,
    splits: tuple[str, ...],
    cache: Path,
    progress: Callable[..., Any] | None = None,
) -> dict[str, Any]:
    """Examine the files of some splits, or recall an examination while no file has changed.

    Args:
        data: Which data set.
        root: Its root.
        splits: Names of the splits, each once.
        cache: Folder for examinations; not being able to write there is no error.
        progress: Wraps the iterable of samples, as ``tqdm`` does.

    Returns:
        ``{"data", "splits": {split: {"images", "valid_pixels"}}, "digest"}``; the digest covers
        the bytes of every image and mask, their names and their splits, how labels are renumbered
        to classes, and no paths.

    Raises:
        UserError: Naming the first bad file and how many there are.
    """
    samples = {split: data.split(root, split) for split in splits}
    classes = data.classes_at(root)
    stamp = _stamp(samples, classes)
    path = cache / f"{data.name}-{stamp[:16]}.json"
    if path.is_file() and (known := read_json(path)).get("stamp") == stamp:
        return dict(known["manifest"])
    flat = [(split, sample) for split, members in samples.items() for sample in members]
    with ThreadPoolExecutor() as pool:
        found = pool.map(lambda item: _examine(item[1], classes), flat)
        results = list(progress(found, total=len(flat)) if progress else found)
    bad = [result for result in results if isinstance(result, str)]
    if bad:
        others = f" (and {len(bad) - 1} more bad files)" if len(bad) > 1 else ""
        raise UserError(f"{bad[0]}{others}")
    digest = hashlib.sha256(f"{data.name}{_renumbering(classes)}".encode())
    counts = {split: {"images": len(samples[split]), "valid_pixels": 0} for split in splits}
    for (split, _), result in zip(flat, results, strict=True):
        digest.update(f"{split} {result[0]}\n".encode())
        counts[split]["valid_pixels"] += int(result[1])
    manifest = {"data": data.name, "splits": counts, "digest": digest.hexdigest()}
    with contextlib.suppress(OSError):
        write_atomically(path, json.dumps({"stamp": stamp, "manifest": manifest}, indent=1))
    return manifest
