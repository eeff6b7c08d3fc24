"""The paper's architectures as LightningModules over one shared base."""

from reproduce.models.deeplab import DeepLabLargeFOV, DeepLabResNet101
from reproduce.models.fcn import FCN
from reproduce.models.module import SegmentationModule
from reproduce.models.optimisation import Recipe

__all__ = ["FCN", "DeepLabLargeFOV", "DeepLabResNet101", "Recipe", "SegmentationModule"]
