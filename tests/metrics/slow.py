"""Contour and object counts by plain loops over pixels, and label maps to try them on."""

from itertools import product
from math import hypot, inf

import numpy as np

from reproduce.metrics.label_pair import LabelPair

VOID = 255
Pixel = tuple[int, int]


def scene(
    seed: int, classes: int = 4, height: int = 17, width: int = 21, void: float = 0.1
) -> tuple[np.ndarray, np.ndarray]:
    """Prediction and truth of patches, some in common, with lines and specks of void."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, classes, (height // 4 + 1, width // 5 + 1))
    truth = truth.repeat(4, 0).repeat(5, 1)[:height, :width].astype(np.uint8)
    other = rng.integers(0, classes, (height // 3 + 1, width // 3 + 1)).repeat(3, 0).repeat(3, 1)
    guess = np.where(rng.random(truth.shape) < 0.05, other[:height, :width], truth)
    guess[2:9, 3:11] = other[2:9, 3:11]
    if void:
        truth[rng.random(truth.shape) < void] = VOID
        truth[:, width // 2] = VOID
    return guess, truth


def pixels(mask: np.ndarray) -> set[Pixel]:
    return {(y, x) for y, x in product(*map(range, mask.shape)) if mask[y, x]}


def around(at: Pixel, diagonal: bool) -> list[Pixel]:
    steps = [s for s in product((-1, 0, 1), repeat=2) if s != (0, 0) and (diagonal or 0 in s)]
    return [(at[0] + dy, at[1] + dx) for dy, dx in steps]


def contour(labels: np.ndarray) -> set[Pixel]:
    inside = pixels(np.ones(labels.shape, bool))
    return {
        at
        for at in inside
        if any(n in inside and labels[n] != labels[at] for n in around(at, diagonal=False))
    }


def gap(at: Pixel, others: set[Pixel]) -> float:
    return min((hypot(at[0] - y, at[1] - x) for y, x in others), default=inf)


def trimap(
    guess: np.ndarray, truth: np.ndarray, classes: int, widths: tuple[float, ...]
) -> list[list[list[int]]]:
    edge = contour(truth)
    tables = [[[0] * classes for _ in range(classes)] for _ in widths]
    for at in pixels(truth != VOID):
        for table, width in zip(tables, widths, strict=True):
            table[truth[at]][guess[at]] += gap(at, edge) + 1 <= width
    return tables


def boundary_f(pair: LabelPair, reach: float) -> list[list[int]]:
    rows = []
    for c in range(pair.num_classes):
        guess, truth = (
            {at for at in contour(labels) if labels[at] == c}
            for labels in (pair.prediction, pair.truth)
        )
        found = sum(gap(at, truth) <= reach for at in guess)
        recalled = sum(gap(at, guess) <= reach for at in truth)
        rows.append([len(guess), found, len(truth), recalled])
    return rows


def boundary_iou(pair: LabelPair, width: int) -> list[list[int]]:
    valid, rows = pixels(pair.valid), []
    for c in range(pair.num_classes):
        bands = []
        for labels in (pair.prediction, pair.truth):
            core = mask = pixels(labels == c)
            for _ in range(width):  # erosion by 3 x 3; what is beyond the frame is not in a set
                core = {at for at in core if all(n in core for n in around(at, diagonal=True))}
            bands.append((mask - core) & valid)
        rows.append([len(bands[0] & bands[1]), len(bands[0] | bands[1])])
    return rows


def components(mask: set[Pixel]) -> list[set[Pixel]]:
    """8-connected components by flooding."""
    left, found = set(mask), []
    while left:
        todo, group = [left.pop()], set()
        while todo:
            at = todo.pop()
            group.add(at)
            near = left.intersection(around(at, diagonal=True))
            left -= near
            todo += near
        found.append(group)
    return found


def objects(pair: LabelPair, first: int) -> list[list[int]]:
    """Rows class, area, hits, false alarms from unions of sets, sorted."""
    valid, rows = pixels(pair.valid), []
    for c in range(first, pair.num_classes):
        truth = pixels(pair.truth == c) & valid
        regions = components(pixels(pair.prediction == c))
        for thing in (whole & valid for whole in components(pixels(pair.truth == c))):
            if not thing:  # void far from its source
                continue
            seen = set().union(*(r for r in regions if r & thing)) & valid
            rest = seen - (truth - thing)
            rows.append([c, len(thing), len(thing & rest), len(thing | rest) - len(thing)])
    return sorted(rows)
