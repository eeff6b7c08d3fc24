"""Lightning callbacks."""

from reproduce.callbacks.level_set import LevelSetCallback

__all__ = ["LevelSetCallback"]
