"""Counts of every image of a set, to be summed, stored or drawn from."""

import numpy as np
from numpy.typing import NDArray

from reproduce.data.labels import VOID
from reproduce.metrics.boundary_f import boundary_f_counts
from reproduce.metrics.boundary_iou import boundary_iou_counts
from reproduce.metrics.counts import Counts, intersection_union
from reproduce.metrics.label_pair import label_pair
from reproduce.metrics.objects import object_table, size_counts, size_edges
from reproduce.metrics.trimap import trimap_confusion


class CountsByImage:
    """Contour and object counts of the images of a set, in the order in which they are added.

    Args:
        num_classes: Number of classes C.
        ignore_index: Label of void in the truth.
        foreground_only: Leave class 0 out of the objects, where it is background.

    Example:
        >>> counts = CountsByImage(num_classes=2)
        >>> truth = np.array([[0, 0, 255, 1], [0, 0, 255, 1]])
        >>> counts.add(prediction=np.array([[0, 0, 0, 1], [0, 0, 1, 0]]), truth=truth)
        >>> counts.arrays()["boundary_iou"].sum(0).tolist()
        [[4, 5], [1, 2]]
    """

    def __init__(
        self, num_classes: int, ignore_index: int = VOID, foreground_only: bool = True
    ) -> None:
        self.num_classes = num_classes
        self.ignore_index = ignore_index
        self.foreground_only = foreground_only
        self._trimap: list[NDArray[np.int64]] = []
        self._boundary_f: list[NDArray[np.int64]] = []
        self._boundary_iou: list[NDArray[np.int64]] = []
        self._objects: list[NDArray[np.int64]] = []

    def add(self, prediction: NDArray[np.integer], truth: NDArray[np.integer]) -> None:
        """Count an image.

        Args:
            prediction: Classes ``(H, W)``.
            truth: Labels ``(H, W)``.

        Raises:
            ValueError: If the shapes differ or a label is out of range.
        """
        pair = label_pair(prediction, truth, self.num_classes, self.ignore_index)
        self._trimap.append(intersection_union(trimap_confusion(pair)))
        self._boundary_f.append(boundary_f_counts(pair))
        self._boundary_iou.append(boundary_iou_counts(pair))
        self._objects.append(object_table(pair, self.foreground_only))

    def arrays(self) -> dict[str, Counts]:
        """Counts of all N images, the first axis of every array but ``size_edges``.

        Returns:
            ``trimap`` ``(N, W, C, 2)`` and ``boundary_iou`` ``(N, C, 2)``: intersection and union
            (:func:`~reproduce.metrics.counts.iou`); ``boundary_f`` ``(N, C, 4)``; ``sizes``
            ``(N, 3, 5)``, of objects parted at ``size_edges`` ``(2,)``, which depend on the
            truth of the set only.

        Raises:
            ValueError: If there is no image, or no object in any.
        """
        if not self._objects:
            raise ValueError("expected at least one image, got none")
        edges = size_edges(np.concatenate(self._objects)[:, 1])
        return {
            "trimap": np.stack(self._trimap),
            "boundary_f": np.stack(self._boundary_f),
            "boundary_iou": np.stack(self._boundary_iou),
            "sizes": np.stack([size_counts(table, edges) for table in self._objects]),
            "size_edges": edges,
        }
