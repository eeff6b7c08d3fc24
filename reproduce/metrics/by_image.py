"""Counts of every image of a set, to be summed, stored or drawn from."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from reproduce.data.labels import VOID
from reproduce.metrics.boundary_f import boundary_f_counts
from reproduce.metrics.boundary_iou import boundary_iou_counts
from reproduce.metrics.counts import Counts, intersection_union
from reproduce.metrics.label_pair import label_pair
from reproduce.metrics.objects import object_table, size_counts, size_edges
from reproduce.metrics.trimap import trimap_confusion

#: Contour pixels match within this part of the image's diagonal (Csurka et al. 2013).
TOLERANCE = 0.0075
#: Width of the bands of Boundary IoU as a part of the image's diagonal (Cheng et al. 2021).
DILATION = 0.02


class ImageCounts(NamedTuple):
    """Counts of one image, which depend on no other; small enough to travel between processes.

    Attributes:
        trimap: int64 ``(W, C, 2)``, intersection and union within each width of
            :data:`~reproduce.metrics.trimap.TRIMAP_WIDTHS`.
        boundary_f: int64 ``(C, 4)`` of :func:`~reproduce.metrics.boundary_f.boundary_f_counts`.
        boundary_iou: int64 ``(C, 2)``, intersection and union.
        objects: int64 ``(K, 4)`` of :func:`~reproduce.metrics.objects.object_table`.
    """

    trimap: NDArray[np.int64]
    boundary_f: NDArray[np.int64]
    boundary_iou: NDArray[np.int64]
    objects: NDArray[np.int64]


def image_counts(
    labels: NDArray[np.integer],
    truth: NDArray[np.integer],
    num_classes: int,
    ignore_index: int = VOID,
    foreground_only: bool = True,
) -> ImageCounts:
    """Contour and object counts of an image, without torch.

    Args:
        labels: Predicted classes ``(H, W)``.
        truth: Labels ``(H, W)``.
        num_classes: Number of classes C.
        ignore_index: Label of void in the truth.
        foreground_only: Leave class 0 out of the objects, where it is background.

    Raises:
        ValueError: If the shapes differ or a label is out of range.
    """
    pair = label_pair(labels, truth, num_classes, ignore_index)
    return ImageCounts(
        intersection_union(trimap_confusion(pair)),
        boundary_f_counts(pair, TOLERANCE),
        boundary_iou_counts(pair, DILATION),
        object_table(pair, foreground_only),
    )


class CountsByImage:
    """Contour and object counts of the images of a set, in the order in which they are added.

    The order matters for nothing but the order of the arrays.

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
        self._images: list[ImageCounts] = []

    def add(self, prediction: NDArray[np.integer], truth: NDArray[np.integer]) -> None:
        """Count an image; see :func:`image_counts`.

        Raises:
            ValueError: If the shapes differ or a label is out of range.
        """
        options = (self.num_classes, self.ignore_index, self.foreground_only)
        self.add_counts(image_counts(prediction, truth, *options))

    def add_counts(self, counts: ImageCounts) -> None:
        """Take an image that :func:`image_counts` counted elsewhere, with the same options.

        Raises:
            ValueError: If it was counted with another number of classes.
        """
        if len(counts.boundary_f) != self.num_classes:
            raise ValueError(
                f"expected counts of {self.num_classes} classes, got {len(counts.boundary_f)}"
            )
        self._images.append(counts)

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
        if not self._images:
            raise ValueError("expected at least one image, got none")
        trimap, contours, bands, objects = zip(*self._images, strict=True)
        edges = size_edges(np.concatenate(objects)[:, 1])
        return {
            "trimap": np.stack(trimap),
            "boundary_f": np.stack(contours),
            "boundary_iou": np.stack(bands),
            "sizes": np.stack([size_counts(table, edges) for table in objects]),
            "size_edges": edges,
        }
