"""Entry points of ``torch.hub``: the paper's architectures, and networks trained here."""

from collections.abc import Callable as _Callable
from collections.abc import Sequence as _Sequence
from typing import Any as _Any

from reproduce.experiments import EXPERIMENTS as _EXPERIMENTS
from reproduce.experiments import read_yaml as _read_yaml
from reproduce.models import SegmentationModule as _SegmentationModule

dependencies = [
    *("torch", "torchvision", "lightning", "torchmetrics", "numpy", "scipy"),
    *("PIL", "yaml", "pydensecrf", "safetensors"),
]


def _architecture(name: str) -> _Callable[..., _SegmentationModule]:
    """Entry point of one file under ``experiments/arch``."""

    def entry(
        num_classes: int = 21,
        weights: str | None = None,
        **options: _Any,  # noqa: ANN401 - passed on
    ) -> _SegmentationModule:
        from reproduce.segment.network import network_class

        model = _read_yaml(_EXPERIMENTS / "arch" / f"{name}.yaml")["model"]
        arguments = {k: v for k, v in model["init_args"].items() if k != "recipe"}
        arguments |= {"num_classes": num_classes, "weights": weights, **options}
        return network_class(model["class_path"])(**arguments)

    entry.__name__ = name
    entry.__doc__ = f"""The network of experiments/arch/{name}.yaml.

    Args:
        num_classes: Number of classes, background included.
        weights: Initial weights of the trunk, such as ``resnet101_coco``; ``None``: random.
        **options: Other options of the class, such as ``trunk``.
    """
    return entry


fcn32s_resnet101 = _architecture("fcn32s_resnet101")
fcn16s_resnet101 = _architecture("fcn16s_resnet101")
fcn8s_resnet101 = _architecture("fcn8s_resnet101")
deeplab_largefov = _architecture("deeplab_largefov")
deeplab_msc_largefov = _architecture("deeplab_msc_largefov")
deeplab_resnet101 = _architecture("deeplab_resnet101")
deeplab_msc_resnet101 = _architecture("deeplab_msc_resnet101")


def level_set_network(path: str, allow: _Sequence[str] = ()) -> _SegmentationModule:
    """A network trained here, in evaluation mode.

    Args:
        path: A run's folder, its ``last.ckpt``, or a file of ``reproduce export``.
        allow: Modules of yours whose classes the checkpoint may name.
    """
    from reproduce.segment import load_network

    return load_network(path, allow)
