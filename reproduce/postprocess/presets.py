"""Published parameters of the dense CRF after DeepLab networks."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True)
class Preset:
    """Weights and widths of the two kernels, as in :class:`~reproduce.postprocess.DenseCRF`.

    Attributes:
        bi_w: Weight of the bilateral kernel.
        bi_xy_std: Its width in pixels.
        bi_rgb_std: Its width in grey levels.
        pos_w: Weight of the spatial kernel.
        pos_xy_std: Its width in pixels.
        source: Where the numbers stand.
    """

    bi_w: float
    bi_xy_std: float
    bi_rgb_std: float
    pos_w: float
    pos_xy_std: float
    source: str


_LIST = "list of best values in a comment of a public torch re-implementation of DeepLab v1"

#: By network; every source has 10 iterations. No values for Context or Cityscapes are public.
PRESETS: Mapping[str, Preset] = MappingProxyType(
    {
        "deeplab_default": Preset(5, 50, 10, 3, 3, "test.prototxt of DeepLab v1"),
        "deeplab_largefov": Preset(4, 121, 5, 3, 3, f"{_LIST}; wangleihitcs gives the same"),
        "deeplab_msc_largefov": Preset(4, 83, 5, 3, 3, _LIST),
        "deeplab_v2_default": Preset(4, 49, 5, 3, 3, "run_densecrf.sh, copies of deeplab-ver2"),
        "deeplab_v2_vgg16": Preset(4, 65, 3, 2, 2, "configuration of HAL-42/FMA-WSSS"),
        "deeplab_resnet101": Preset(4, 67, 3, 3, 1, "voc12.yaml of kazuto1011/deeplab-pytorch"),
    }
)
