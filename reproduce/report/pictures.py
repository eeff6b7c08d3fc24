"""Validation images labelled by a baseline and by the network with the loss, if both are at hand.

Which images is a rule on the records' ``image_iou``: largest gain, median, largest loss.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from reproduce.data.catalog import DataSet, data_set
from reproduce.data.images import read_pair, reduce_image
from reproduce.data.labels import VOID
from reproduce.data.samples import Sample
from reproduce.errors import UserError
from reproduce.report.images import Labels, choose, image_iou, label_uri, photo_uri
from reproduce.report.networks import Network
from reproduce.tables.markdown import CellRun

#: Points of IoU by which labels may differ from the record: devices round differently.
TOLERANCE = 2.0

#: Characters of all embedded pictures together.
BUDGET = 4_500_000


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
            Shown(
                name,
                rule,
                scores[0],
                scores[1],
                photo_uri(image),
                truth_,
                (base, ours),
                (height, width),
            )
        )
    colours = np.reshape(known.palette(), (-1, 3))
    legend = [
        (classes.names[c], f"#{bytes(colours[c].astype(np.uint8)).hex()}") for c in sorted(present)
    ]
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
