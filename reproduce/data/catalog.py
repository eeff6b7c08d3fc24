"""What is known of each data set without loading torch: layout, classes, how it is made."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from reproduce.data import labels
from reproduce.data.layouts import Sample, camvid_samples, voc_samples
from reproduce.data.shapes import make_shapes
from reproduce.errors import UserError


class DataSet(NamedTuple):
    """One data set.

    Attributes:
        name: Name on the command line.
        classes: Names and ids of its classes.
        samples: ``(root, split) -> samples`` in the order of the official list.
        make: Writes the files under a root, where they can be generated.
    """

    name: str
    classes: labels.ClassSet
    samples: Callable[[Path, str], list[Sample]]
    make: Callable[[Path], None] | None = None


#: Data module class -> data set.
DATA_SETS = {
    "reproduce.data.VOCDataModule": DataSet("voc", labels.VOC, voc_samples),
    "reproduce.data.ShapesDataModule": DataSet("shapes", labels.SHAPES, voc_samples, make_shapes),
    "reproduce.data.CamVidDataModule": DataSet("camvid", labels.CAMVID, camvid_samples),
}


def data_set(class_path: str) -> DataSet:
    """Data set of a data module.

    Raises:
        UserError: If the class is none of ours.
    """
    if class_path not in DATA_SETS:
        raise UserError(f"unknown data {class_path!r}: expected one of {', '.join(DATA_SETS)}")
    return DATA_SETS[class_path]
