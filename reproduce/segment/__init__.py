"""Own pictures with a trained network. Workers of the CRF import from here, so torch loads late."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from reproduce.segment.network import TrainedNetwork

__all__ = ["load_network"]


def load_network(checkpoint: str | Path, allow: Sequence[str] = ()) -> "TrainedNetwork":
    """A trained network in evaluation mode, on the CPU.

    Args:
        checkpoint: A run's folder, the beginning of its name, its ``last.ckpt``, or a file that
            ``reproduce export`` wrote.
        allow: Modules of yours whose classes the checkpoint may name, such as ``["mine"]``; those
            of others are refused.

    Returns:
        The :class:`~reproduce.models.SegmentationModule`, with ``class_names``, ``palette`` (256
        RGB colours, flat), ``crf`` (the run's own, or ``None``) and ``downscale`` (the factor by
        which it was trained on reduced images). ``network.segment(images)`` labels uint8 images
        ``(B, 3, H, W)``.

    Raises:
        UserError: If there is no such network or it cannot be read.
    """
    from reproduce.segment.network import trained_network
    from reproduce.segment.source import read_source

    return trained_network(read_source(Path(checkpoint)), allow)
