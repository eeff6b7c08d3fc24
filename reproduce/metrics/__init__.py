"""Scores of a whole data set. Those on tensors are imported when asked for: torch is slow to load.

Counts by image (:mod:`reproduce.metrics.by_image`) need numpy and scipy alone, so that worker
processes can take them.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from reproduce.metrics.scores import SegmentationScores, confusion_matrix, iou_per_class

__all__ = ["SegmentationScores", "confusion_matrix", "iou_per_class"]


def __getattr__(name: str) -> Any:  # noqa: ANN401 - any public name
    """Import a score on first use."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from reproduce.metrics import scores

    return getattr(scores, name)
