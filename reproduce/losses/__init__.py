"""Losses ``(logits (B, C, H, W), target (B, H, W)) -> scalar``.

The level set loss needs PyTorch only. Dice, Tversky and the sigmoid form of the focal loss load
``segmentation_models_pytorch`` when they are made, the boundary loss scipy when it is called.
"""

from reproduce.losses.active_contour import ActiveContourLoss
from reproduce.losses.adaptive_learning import AdaptiveLearningLoss
from reproduce.losses.boundary import BoundaryLoss
from reproduce.losses.combined import CombinedLoss
from reproduce.losses.dice import DiceLoss
from reproduce.losses.focal import FocalLoss
from reproduce.losses.fused import CrossEntropyLevelSetLoss
from reproduce.losses.heaviside import heaviside
from reproduce.losses.level_set import LevelSetLoss, level_set_energy
from reproduce.losses.loss_max_pooling import LossMaxPooling
from reproduce.losses.lovasz import LovaszLoss
from reproduce.losses.mumford_shah import MumfordShahLoss
from reproduce.losses.readings import Reading
from reproduce.losses.rmi import RMILoss
from reproduce.losses.tversky import TverskyLoss

__all__ = [
    "ActiveContourLoss",
    "AdaptiveLearningLoss",
    "BoundaryLoss",
    "CombinedLoss",
    "CrossEntropyLevelSetLoss",
    "DiceLoss",
    "FocalLoss",
    "LevelSetLoss",
    "LossMaxPooling",
    "LovaszLoss",
    "MumfordShahLoss",
    "RMILoss",
    "Reading",
    "TverskyLoss",
    "heaviside",
    "level_set_energy",
]
