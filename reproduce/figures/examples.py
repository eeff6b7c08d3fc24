"""Validation images with the answers of a row's networks, chosen by a rule on their records.

The rule looks at the records' ``image_iou``, with the level set loss minus without: the largest
gain, the median and the largest loss.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from reproduce.data.catalog import DataSet, data_set
from reproduce.data.images import read_pair, reduce_image
from reproduce.data.labels import VOID, ClassSet
from reproduce.data.samples import Sample
from reproduce.errors import UserError
from reproduce.experiments import Column, Row, TableSpec
from reproduce.tables.markdown import CellRun
from reproduce.tables.render import Cells

Labels = NDArray[np.uint8]

#: Points of IoU by which labels may differ from the record: devices round differently.
TOLERANCE = 2.0


class Trained(NamedTuple):
    """Runs of one row and seed.

    Attributes:
        seed: Seed.
        base: Training without the loss.
        ours: Training with it.
        crf: Evaluation of the first with CRFs, where there is one.
    """

    seed: int
    base: CellRun
    ours: CellRun
    crf: CellRun | None = None

    @property
    def runs(self) -> dict[str, CellRun]:
        """By column, in the order in which they are shown."""
        found = [run for run in (self.base, self.crf, self.ours) if run is not None]
        return {run.column: run for run in found}

    def missing(self, runs: Path) -> list[Path]:
        """Checkpoints that are not there."""
        paths = (runs / run.id / "last.ckpt" for run in (self.base, self.ours))
        return [path for path in paths if not path.is_file()]


class Answer(NamedTuple):
    """What a network says of an image.

    Attributes:
        labels: ``(H, W)``.
        maps: Probabilities ``(C, H, W)``.
        iou: Mean IoU of the image in percent, as the record has it.
    """

    labels: Labels
    maps: NDArray[np.float16]
    iou: float


class Example(NamedTuple):
    """An image, why it is shown, and the answers by column.

    Attributes:
        name: Id of the image.
        rule: Why it is shown.
        image: RGB ``(H, W, 3)``.
        truth: ``(H, W)``, void as 255.
        answers: By column.
    """

    name: str
    rule: str
    image: NDArray[np.uint8]
    truth: Labels
    answers: Mapping[str, Answer]


class Examples(NamedTuple):
    """Images of one row and seed, and the classes and colours of their data set."""

    images: Sequence[Example]
    classes: ClassSet
    palette: Sequence[int]

    @property
    def clear(self) -> set[int]:
        """Labels that are no object: void, and the background where there is one."""
        return {VOID, *([0] if self.classes.names[0] == "background" else [])}

    def present(self) -> list[int]:
        """Objects that occur in the truths or the answers."""
        shown = [e.truth for e in self.images]
        shown += [answer.labels for e in self.images for answer in e.answers.values()]
        return sorted({int(c) for labels in shown for c in np.unique(labels)} - self.clear)

    def colour(self, index: int) -> tuple[int, int, int]:
        """RGB of a class."""
        red, green, blue = self.palette[3 * index : 3 * index + 3]
        return red, green, blue


def crf_column(spec: TableSpec) -> Column | None:
    """Column of a table that refines the baseline by CRFs, if there is one."""
    base = next(column for column in spec.columns if column.key == spec.gain[1])
    refined = (
        column
        for column in spec.columns
        if column.loss == base.loss
        and "iterations" in (column.evaluate or {})
        and "timing" not in (column.evaluate or {})
    )
    return next(refined, None)


def trained(spec: TableSpec, row: Row, cells: Cells) -> list[Trained]:
    """Sets of runs of a row by seed: those that have both trainings."""

    def by_seed(column: str) -> dict[int, CellRun]:
        found = (run for run in cells.runs(row, column) if run.record is not None)
        return {run.seed: run for run in found if "image_iou" in (run.record or {})}

    ours, base = (by_seed(key) for key in spec.gain)
    crf = crf_column(spec)
    refined = by_seed(crf.key) if crf is not None and row.has(crf) else {}
    both = sorted(base.keys() & ours.keys())
    return [Trained(seed, base[seed], ours[seed], refined.get(seed)) for seed in both]


def choose(base: Mapping[str, float], ours: Mapping[str, float]) -> list[tuple[str, str]]:
    """Rule and name of the images to show: by gain in IoU, ties by name."""
    names = [n for n in base if n in ours and np.isfinite(base[n]) and np.isfinite(ours[n])]
    ranked = sorted(names, key=lambda name: (base[name] - ours[name], name))
    if not ranked:
        return []
    places = {"largest gain": 0, "median": len(ranked) // 2, "largest loss": len(ranked) - 1}
    found = {ranked[place]: rule for rule, place in reversed(places.items())}
    return [(rule, name) for name, rule in reversed(found.items())]


def class_iou(labels: Labels, truth: Labels) -> dict[int, float]:
    """IoU in percent of each class that occurs in labels or truth, void left out."""
    labels, truth = labels[truth != VOID], truth[truth != VOID]
    return {
        int(c): 100.0
        * float(((labels == c) & (truth == c)).sum() / ((labels == c) | (truth == c)).sum())
        for c in np.union1d(labels, truth)
    }


def image_iou(labels: Labels, truth: Labels) -> float:
    """Mean of :func:`class_iou`."""
    found = class_iou(labels, truth)
    return float(np.mean(list(found.values()))) if found else float("nan")


def _samples(config: Mapping[str, Any], data: Path | None) -> tuple[DataSet, Path, list[Sample]]:
    known = data_set(config["data"]["class_path"])
    root = data or Path("data") / known.name
    if data is None and known.make is None:
        raise UserError(f"the pictures need {known.name}: name its root by --data")
    if data is None and known.make is not None:
        known.make(root)
    return known, root, known.split(root, config["data"]["init_args"]["val_split"])


def _answers(
    folder: Path,
    pairs: Sequence[tuple[NDArray[np.uint8], Labels]],
    crf: Mapping[str, Any] | None = None,
) -> list[tuple[Labels, NDArray[np.float16]]]:
    """Labels and probabilities at the sizes of the truths, by the network of a run's folder."""
    import torch

    from reproduce.postprocess import DenseCRF
    from reproduce.postprocess.scoring import most_probable
    from reproduce.segment import load_network

    network = load_network(folder)
    out: list[tuple[Labels, NDArray[np.float16]]] = []
    for image, truth in pairs:
        reduced = np.ascontiguousarray(reduce_image(image, network.downscale))
        pixels = torch.from_numpy(np.ascontiguousarray(reduced.transpose(2, 0, 1)))[None]
        size = (truth.shape[0], truth.shape[1])
        with torch.inference_mode():
            logits = network.full_logits(pixels, size if crf is None else None)
        maps = logits.softmax(1)[0].numpy()
        if crf is None:
            labels = logits.argmax(1)[0].numpy().astype(np.uint8)
        else:
            maps = DenseCRF(**crf)(reduced, maps)
            labels = most_probable(maps, truth).astype(np.uint8)
        out.append((labels, maps.astype(np.float16)))
    return out


def answer_examples(chosen: Trained, runs: Path, data: Path | None) -> Examples:
    """Images of a row's networks, whose checkpoints are there.

    Args:
        chosen: The runs.
        runs: Folder of the runs.
        data: Root of the data set; ``None``: generated data in ``data/NAME``.

    Raises:
        UserError: If the data is missing or a checkpoint does not give what its record says.
    """
    records = {key: run.record or {} for key, run in chosen.runs.items()}
    base, ours = records[chosen.base.column], records[chosen.ours.column]
    known, root, samples = _samples(base["config"], data)
    by_name, classes = {sample.name: sample for sample in samples}, known.classes_at(root)
    shown = choose(base["image_iou"], ours["image_iou"])
    if absent := [name for _, name in shown if name not in by_name]:
        raise UserError(
            f"{root} has no image {absent[0]}, which run {chosen.base.id} was scored on"
        )
    pairs = [read_pair(by_name[name], classes) for _, name in shown]
    answers: list[dict[str, Answer]] = [{} for _ in shown]
    for key, run in chosen.runs.items():
        network = chosen.base if run is chosen.crf else run
        found = _answers(runs / network.id, pairs, records[key].get("crf"))
        lines = zip(shown, pairs, found, answers, strict=True)
        for (_, name), (_, truth), (labels, maps), into in lines:
            score = float(records[key]["image_iou"][name])
            if abs(image_iou(labels, truth) - score) > TOLERANCE:
                raise UserError(f"{runs / run.id} labels {name} otherwise than its record says")
            into[key] = Answer(labels, maps, score)
    images = [
        Example(name, rule, *pair, given)
        for (rule, name), pair, given in zip(shown, pairs, answers, strict=True)
    ]
    return Examples(images, classes, known.palette())
