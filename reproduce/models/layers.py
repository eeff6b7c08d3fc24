"""Layers of the heads."""

from torch import nn


def conv(
    inputs: int, outputs: int, std: float | None = None, *, kernel: int = 1, dilation: int = 1
) -> nn.Conv2d:
    """Convolution that keeps the size, with a zero bias.

    Args:
        inputs: Channels of the input.
        outputs: Channels of the output.
        std: Weights start as N(0, std); ``None``: He's start, for a ReLU behind.
        kernel: Side of the kernel, odd.
        dilation: Dilation.
    """
    layer = nn.Conv2d(
        inputs, outputs, kernel, padding=dilation * (kernel // 2), dilation=dilation, bias=True
    )
    if std is None:
        nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    else:
        nn.init.normal_(layer.weight, std=std)
    nn.init.zeros_(layer.get_parameter("bias"))
    return layer
