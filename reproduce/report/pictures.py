"""Validation images labelled by a baseline and by the network with the loss, if both are at hand.

Which images is the rule of :mod:`reproduce.figures.examples`.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from reproduce.errors import UserError
from reproduce.figures.examples import Example, Examples, Trained, answer_examples
from reproduce.report.images import label_uri, photo_uri
from reproduce.report.networks import Network

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


def _pair(network: Network, runs: Path) -> Trained | None:
    """Runs of the lowest seed of which both checkpoints are there."""
    base, ours = ({run.seed: run for run in cell} for cell in network.runs)
    pairs = (Trained(seed, base[seed], ours[seed]) for seed in sorted(base.keys() & ours.keys()))
    return next((pair for pair in pairs if not pair.missing(runs)), None)


def _shown(examples: Examples, example: Example, pair: Trained) -> Shown:
    base, ours = (example.answers[run.column] for run in (pair.base, pair.ours))
    truth, *labels = (
        label_uri(x, examples.palette, sorted(examples.clear))
        for x in (example.truth, base.labels, ours.labels)
    )
    return Shown(
        example.name,
        example.rule,
        base.iou,
        ours.iou,
        photo_uri(example.image),
        truth,
        (labels[0], labels[1]),
        (example.truth.shape[0], example.truth.shape[1]),
    )


def gallery(network: Network, runs: Path, data: Path | None) -> Gallery | None:
    """Images of a network, ``None`` where a checkpoint is not there.

    Raises:
        UserError: If the data is missing or a checkpoint does not give what its record says.
    """
    if not network.pictured or (pair := _pair(network, runs)) is None:
        return None
    examples = answer_examples(pair, runs, data)
    shown = [_shown(examples, example, pair) for example in examples.images]
    legend = [
        (examples.classes.names[c], f"#{bytes(examples.colour(c)).hex()}")
        for c in examples.present()
    ]
    return Gallery(pair.seed, (pair.base.id, pair.ours.id), shown, legend)


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
