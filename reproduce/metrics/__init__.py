"""Scores of a whole data set."""

from reproduce.metrics.scores import SegmentationScores, confusion_matrix, iou_per_class

__all__ = ["SegmentationScores", "confusion_matrix", "iou_per_class"]
