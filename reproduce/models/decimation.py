"""VGG-16's fully connected layers as LargeFOV's fc6 and fc7 (DeepLab-v2, section 4.1).

DeepLab started from one published file (``vgg16_20M.caffemodel``) whose 1,024 of 4,096 filters had
been chosen at random once. The choice here is likewise one for all runs: its generator does not
depend on the seed of a run, so that runs differ by nothing that a published file would have fixed.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

#: Filters of either fully connected layer of VGG-16.
FILTERS = 4096


@torch.no_grad()
def fill_from_classifier(fc6: nn.Conv2d, fc7: nn.Conv2d, state: Mapping[str, Tensor]) -> None:
    """Fill fc6 and fc7 with a part of VGG-16's classifier.

    fc6 takes rows and columns 0, 3 and 6 of the 7x7 kernels, and of the 4,096 filters as many as it
    has; fc7 takes the same ones as inputs and a second choice as outputs. Nothing is rescaled.

    Args:
        fc6: ``(hidden, 512, 3, 3)``, changed in place; ``hidden`` at most 4,096.
        fc7: ``(hidden, hidden, 1, 1)``, changed in place.
        state: With ``classifier.{0,3}.{weight,bias}`` of torchvision's VGG-16.
    """
    generator = torch.Generator().manual_seed(0)
    hidden = fc6.out_channels
    kept6 = torch.randperm(FILTERS, generator=generator)[:hidden]
    kept7 = torch.randperm(FILTERS, generator=generator)[:hidden]
    kernels = state["classifier.0.weight"].view(FILTERS, -1, 7, 7)
    fc6.weight.copy_(kernels[kept6][:, :, ::3, ::3])
    fc7.weight.copy_(state["classifier.3.weight"][kept7][:, kept6, None, None])
    for layer, index, kept in ((fc6, 0, kept6), (fc7, 3, kept7)):
        layer.get_parameter("bias").copy_(state[f"classifier.{index}.bias"][kept])
