"""Reproduction suite of *CNN-based Semantic Segmentation using Level Set Loss* (1910.00950)."""

__version__ = "0.1.0"
