"""Recall and IoU of objects by their size; an object is a connected component of the truth."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from reproduce.metrics.counts import Counts, ratio
from reproduce.metrics.label_pair import LabelPair

_EIGHT = np.ones((3, 3), bool)  # diagonal neighbours are connected


def object_table(pair: LabelPair, foreground_only: bool = True) -> NDArray[np.int64]:
    """Area, hits and false alarms of each object.

    An object K is an 8-connected component of a class in the completed truth, less its void: in
    the maps of VOC as they are, the void along borders cuts off so many specks that 40 % of all
    components have one or two pixels. Objects of one class that touch are one.

    The prediction of K is the union R of the components of its class in the completed prediction
    that share a valid pixel with K. Hits are the pixels of K predicted as its class; false alarms
    are the valid pixels of R that are of another class in the truth, so that other objects of the
    class are not held against K. Then IoU of K = hits / (area + false alarms). A predicted
    component over several objects counts against each of them; one over no object against none.

    Args:
        pair: Prediction and truth.
        foreground_only: Leave out class 0.

    Returns:
        int64 ``(K, 4)``: class, area, hits and false alarms in pixels. Rows of images can be
        concatenated.
    """
    present = np.unique(pair.truth[pair.valid])
    tables = [_objects_of(pair, int(c)) for c in present if c or not foreground_only]
    return np.concatenate([np.zeros((0, 4), np.int64), *tables])


def _objects_of(pair: LabelPair, label: int) -> NDArray[np.int64]:
    """Rows of :func:`object_table` of one class."""
    objects, count = ndimage.label(pair.truth == label, _EIGHT)
    regions, others = ndimage.label(pair.prediction == label, _EIGHT)
    truth = pair.valid & (objects > 0)
    area = np.bincount(objects[truth], minlength=count + 1)
    hit = truth & (regions > 0)
    hits = np.bincount(objects[hit], minlength=count + 1)
    wrong = pair.valid & ~truth & (regions > 0)
    alarms = np.bincount(regions[wrong], minlength=others + 1)
    meeting = np.unique(objects[hit].astype(np.int64) * (others + 1) + regions[hit])
    owner, region = np.divmod(meeting, others + 1)
    charged = np.bincount(owner, alarms[region], minlength=count + 1).astype(np.int64)
    return np.stack([np.full(count + 1, label), area, hits, charged], 1)[area > 0]


def size_edges(
    areas: NDArray[np.int64], quantiles: Sequence[float] = (1 / 3, 2 / 3)
) -> NDArray[np.float64]:
    """Areas that part the objects of a set into small, medium and large.

    Args:
        areas: Areas ``(M,)`` of all objects of the set's truth, in pixels.
        quantiles: B - 1 rising numbers in [0, 1].

    Returns:
        float64 ``(B - 1,)`` in pixels.

    Raises:
        ValueError: If there is no object.
    """
    if not len(areas):
        raise ValueError("expected the areas of at least one object, got none")
    return np.asarray(np.quantile(areas, quantiles), np.float64)


def size_counts(table: NDArray[np.int64], edges: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sums over the objects of each size; they add up over images.

    Args:
        table: ``(K, 4)`` of :func:`object_table`.
        edges: ``(B - 1,)`` of :func:`size_edges`; an area equal to an edge is below it.

    Returns:
        float64 ``(B, 5)``: objects, their area, hits, and the sums of their recall and IoU.
    """
    _, area, hits, alarms = table.T
    columns = (np.ones(len(table)), area, hits, hits / area, hits / (area + alarms))
    size, bins = np.digitize(area, edges, right=True), len(edges) + 1
    return np.stack([np.bincount(size, column, minlength=bins) for column in columns], 1)


class SizeScores(NamedTuple):
    """Scores by size, in [0, 1], nan for a size without objects.

    Attributes:
        recall: Share of an object's pixels that are hit, mean over objects.
        pixel_recall: Share of all objects' pixels that are hit.
        iou: IoU of an object, mean over objects.
    """

    recall: NDArray[np.float64]
    pixel_recall: NDArray[np.float64]
    iou: NDArray[np.float64]


def size_scores(counts: Counts) -> SizeScores:
    """Scores by size from summed counts.

    Args:
        counts: ``(..., B, 5)`` of :func:`size_counts`.

    Returns:
        float64 ``(..., B)`` each.
    """
    number, area, hits, recalls, ious = np.moveaxis(counts, -1, 0)
    return SizeScores(ratio(recalls, number), ratio(hits, area), ratio(ious, number))
