"""A network from its configuration and weights, without the files its training started from."""

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any, cast

import torch

from reproduce.class_paths import class_paths
from reproduce.data.catalog import data_set
from reproduce.errors import UserError
from reproduce.models import SegmentationModule
from reproduce.models.caffe import to_caffe_geometry
from reproduce.models.weights import INITIAL_WEIGHTS
from reproduce.segment.source import Source

if TYPE_CHECKING:
    from reproduce.postprocess import DenseCRF

    class TrainedNetwork(SegmentationModule):
        """For the types only: a network with what was learned about its classes."""

        class_names: tuple[str, ...]
        palette: list[int]
        downscale: int
        crf: DenseCRF | None

else:
    TrainedNetwork = SegmentationModule

#: Options of a network that training alone needs; those that name classes are never built here.
TRAINING_ONLY = ("weights", "check_weights", "criterion", "recipe")


def _check_class_paths(value: object, allow: Sequence[str]) -> None:
    """Refuse classes of modules that are not allowed, wherever a configuration names one."""
    for path in class_paths(value):
        if not (isinstance(path, str) and path.partition(".")[0] in ("reproduce", *allow)):
            raise UserError(
                f"class_path {path!r} is refused: expected a class of this package, such as "
                "reproduce.models.FCN; if the module is yours, allow it (--allow MODULE)"
            )


def network_class(path: object, allow: Sequence[str] = ()) -> type[SegmentationModule]:
    """The class of a network by its name.

    Args:
        path: Its name.
        allow: Modules beside this package whose classes may be used.

    Raises:
        UserError: If the name is none of a network that may be used.
    """
    _check_class_paths({"class_path": path}, allow)
    module, _, name = str(path).rpartition(".")
    found = None
    if "__main__" not in module:  # importing it would run the command line
        try:
            found = getattr(import_module(module), name, None)
        except ImportError:
            found = None
    if not (isinstance(found, type) and issubclass(found, SegmentationModule)):
        raise UserError(f"class_path {path!r}: expected a network, such as reproduce.models.FCN")
    return found


def build_network(model: Mapping[str, Any], allow: Sequence[str] = ()) -> SegmentationModule:
    """A network with random weights and the geometry and normalisation of its initial weights.

    The files of initial weights are not needed: a checkpoint has all weights.

    Args:
        model: ``class_path`` and ``init_args``.
        allow: As for :func:`network_class`.

    Raises:
        UserError: If they do not fit.
    """
    options = dict(model.get("init_args") or {})
    name = options.get("weights")
    if name is not None and name not in INITIAL_WEIGHTS:
        raise UserError(f"unknown weights {name!r}: expected one of {', '.join(INITIAL_WEIGHTS)}")
    kind = network_class(model.get("class_path"), allow)
    try:
        with torch.random.fork_rng(devices=[]):  # the caller's random numbers stay as they were
            network = kind(**{k: v for k, v in options.items() if k not in TRAINING_ONLY})
    except (TypeError, ValueError) as error:
        raise UserError(f"the configuration does not fit {kind.__name__}: {error}") from None
    if name is not None:
        initial = INITIAL_WEIGHTS[name]
        network.mean.copy_(torch.tensor(initial.mean).view(3, 1, 1))
        network.std.copy_(torch.tensor(initial.std).view(3, 1, 1))
        if initial.layout == "caffe":
            to_caffe_geometry(network.trunk)
    return network


def trained_network(source: Source, allow: Sequence[str] = ()) -> TrainedNetwork:
    """The network of a checkpoint, in evaluation mode.

    Args:
        source: What was read of it.
        allow: As for :func:`network_class`.

    Raises:
        UserError: If the configuration names foreign classes or does not fit the weights.
    """
    model, data = source.config.get("model"), source.config.get("data")
    if not (isinstance(model, dict) and isinstance(data, dict)):
        raise UserError(f"the configuration of {source.path} lacks model or data: export it anew")
    _check_class_paths([model, data], allow)
    known = data_set(str(data.get("class_path")))
    network = cast("TrainedNetwork", build_network(model, allow))
    try:
        network.load_state_dict(source.state)
    except RuntimeError as error:
        reason = str(error).splitlines()[-1].strip()
        raise UserError(f"{source.path} does not fit its configuration: {reason}") from None
    names = known.classes.names
    if len(names) != network.num_classes:
        names = tuple(f"class {i}" for i in range(network.num_classes))
    network.class_names = names
    network.palette = known.palette()
    network.downscale = int((data.get("init_args") or {}).get("downscale", 1))
    network.crf = source.crf
    network.eval()
    return network
