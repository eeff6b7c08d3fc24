"""Losses ``(logits (B, C, H, W), target (B, H, W)) -> scalar``; they need PyTorch only."""

from reproduce.losses.fused import CrossEntropyLevelSetLoss
from reproduce.losses.heaviside import heaviside
from reproduce.losses.level_set import LevelSetLoss, level_set_energy
from reproduce.losses.readings import Reading

__all__ = ["CrossEntropyLevelSetLoss", "LevelSetLoss", "Reading", "heaviside", "level_set_energy"]
