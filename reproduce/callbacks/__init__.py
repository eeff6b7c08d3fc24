"""Lightning callbacks."""

from reproduce.callbacks.compile import Compile
from reproduce.callbacks.level_set import LevelSetCallback

__all__ = ["Compile", "LevelSetCallback"]
