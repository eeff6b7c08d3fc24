"""Validation images labelled by a baseline and by the network with the loss, where both are at hand.

Which images is a rule on the records' ``image_iou``: largest gain, median, largest loss.
"""

import base64
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from reproduce.data.catalog import DataSet, data_set
from reproduce.data.images import read_pair, reduce_image
from reproduce.data.labels import VOID
from reproduce.data.samples import Sample
from reproduce.errors import UserError
from reproduce.report.networks import Network
from reproduce.tables.markdown import CellRun

Labels = NDArray[np.uint8]

#: Points of IoU by which labels may differ from the record: devices round differently.
TOLERANCE = 2.0

#: Longest side of an embedded picture, and characters of all of them together.
SIDE, BUDGET = 640, 4_500_000


class Shown(NamedTuple):
    """An image: why it is shown, IoU of both networks in percent, and pictures as data URIs."""

    name: str
    rule: str
    base: float
    ours: float
    photo: str
    truth: str
    labels: tuple[str, str]
    size: tuple[int, int]


class Gallery(NamedTuple):
    """Images of a pair of runs, and the classes that occur in them with their colours."""

    seed: int
    runs: tuple[str, str]
    images: Sequence[Shown]
    legend: Sequence[tuple[str, str]]


def choose(base: Mapping[str, float], ours: Mapping[str, float]) -> list[tuple[str, str]]:
    """Rule and name of the images to show: by gain in IoU, ties by name."""
    names = [n for n in base if n in ours and np.isfinite(base[n]) and np.isfinite(ours[n])]
    ranked = sorted(names, key=lambda name: (base[name] - ours[name], name))
    if not ranked:
        return []
    places = {"largest gain": 0, "median": len(ranked) // 2, "largest loss": len(ranked) - 1}
    found = {ranked[place]: rule for rule, place in reversed(places.items())}
    return [(rule, name) for name, rule in reversed(found.items())]


def image_iou(labels: Labels, truth: Labels) -> float:
    """Mean IoU in percent over the classes that occur in labels or truth, void left out."""
    labels, truth = labels[truth != VOID], truth[truth != VOID]
    classes = np.union1d(labels, truth)
    both = [
        ((labels == c) & (truth == c)).sum() / ((labels == c) | (truth == c)).sum() for c in classes
    ]
    return 100 * float(np.mean(both)) if both else float("nan")


def _uri(image: Image.Image, kind: str, **options: Any) -> str:  # noqa: ANN401 - Pillow's options
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return f"data:image/{kind};base64," + base64.b64encode(stream.getvalue()).decode()


def label_uri(labels: Labels, palette: Sequence[int], clear: Sequence[int]) -> str:
    """Labels as a palette PNG, some of them transparent."""
    image = Image.fromarray(labels)
    image.thumbnail((SIDE, SIDE), Image.Resampling.NEAREST)
    image.putpalette(palette)
    alpha = bytes(0 if index in clear else 255 for index in range(256))
    return _uri(image, "png", transparency=alpha, optimize=True)


def _photo(image: NDArray[np.uint8]) -> str:
    picture = Image.fromarray(image)
    picture.thumbnail((SIDE, SIDE))
    return _uri(picture, "webp", quality=85)


def _pair(network: Network, runs: Path) -> tuple[CellRun, CellRun] | None:
    """Runs of the lowest seed of which both checkpoints are there."""
    base, ours = ({run.seed: run for run in cell} for cell in network.runs)
    for seed in sorted(base.keys() & ours.keys()):
        if all((runs / run[seed].id / "last.ckpt").is_file() for run in (base, ours)):
            return base[seed], ours[seed]
    return None


def _samples(config: Mapping[str, Any], data: Path | None) -> tuple[DataSet, Path, list[Sample]]:
    known = data_set(config["data"]["class_path"])
    root = data or Path("data") / known.name
    if data is None and known.make is None:
        raise UserError(f"the pictures need {known.name}: name its root by --data")
    if data is None and known.make is not None:
        known.make(root)
    return known, root, known.split(root, config["data"]["init_args"]["val_split"])


def _segment(folder: Path, pairs: Sequence[tuple[NDArray[np.uint8], Labels]]) -> list[Labels]:
    """Labels of images at the sizes of their truths, by the network of a run's folder."""
    import torch

    from reproduce.segment import load_network

    network = load_network(folder)
    out = []
    for image, truth in pairs:
        reduced = np.ascontiguousarray(reduce_image(image, network.downscale).transpose(2, 0, 1))
        with torch.inference_mode():
            labels = network.segment(torch.from_numpy(reduced)[None], truth.shape[:2])[0]
        out.append(labels.numpy().astype(np.uint8))
    return out


def gallery(network: Network, runs: Path, data: Path | None) -> Gallery | None:
    """Images of a network, ``None`` where a checkpoint is not there.

    Raises:
        UserError: If the data is missing or a checkpoint does not give what its record says.
    """
    if not network.pictured or (pair := _pair(network, runs)) is None:
        return None
    records = [run.record or {} for run in pair]
    known, root, samples = _samples(records[0]["config"], data)
    by_name, classes = {sample.name: sample for sample in samples}, known.classes_at(root)
    clear = [VOID, *([0] if classes.names[0] == "background" else [])]
    chosen = choose(*(record["image_iou"] for record in records))
    if absent := [name for _, name in chosen if name not in by_name]:
        raise UserError(f"{root} has no image {absent[0]}, which run {pair[0].id} was scored on")
    pairs = [read_pair(by_name[name], classes) for _, name in chosen]
    labels = [_segment(runs / run.id, pairs) for run in pair]
    shown = []
    present: set[int] = set()
    for (rule, name), (image, truth), *both in zip(chosen, pairs, *labels, strict=True):
        scores = [float(record["image_iou"][name]) for record in records]
        for run, given, score in zip(pair, both, scores, strict=True):
            if abs(image_iou(given, truth) - score) > TOLERANCE:
                raise UserError(f"{runs / run.id} labels {name} otherwise than its record says")
        present |= {int(c) for given in (*both, truth) for c in np.unique(given)} - set(clear)
        truth_, base, ours = (label_uri(x, known.palette(), clear) for x in (truth, *both))
        height, width = truth.shape
        shown.append(
            Shown(name, rule, *scores, _photo(image), truth_, (base, ours), (height, width))
        )
    colours = np.reshape(known.palette(), (-1, 3))
    legend = [(classes.names[c], "#%02x%02x%02x" % tuple(colours[c])) for c in sorted(present)]
    return Gallery(pair[0].seed, (pair[0].id, pair[1].id), shown, legend)


def galleries(
    found: Sequence[Network], runs: Path, data: Path | None
) -> tuple[dict[str, Gallery], list[str]]:
    """Galleries by network, as many as fit, and why others are missing."""
    out: dict[str, Gallery] = {}
    problems: list[str] = []
    left = BUDGET
    for network in found:
        try:
            made = gallery(network, runs, data)
        except UserError as error:
            problems.append(f"{network.table}, {network.label}: {error}")
            continue
        if made is None:
            continue
        left -= sum(len(uri) for s in made.images for uri in (s.photo, s.truth, *s.labels))
        if left < 0:
            problems.append(f"{network.table}, {network.label} and later: no room on the page")
            break
        out[network.key] = made
    return out, list(dict.fromkeys(problems))
