"""What is known of each data set without loading torch: layout, classes, how it is made."""

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from reproduce.data import labels
from reproduce.data.cityscapes import cityscapes_samples
from reproduce.data.clutter import make_clutter
from reproduce.data.context import context_ids, context_samples
from reproduce.data.layouts import camvid_samples, voc_samples
from reproduce.data.samples import Sample
from reproduce.data.shapes import make_shapes
from reproduce.data.streets import make_streets
from reproduce.errors import UserError
from reproduce.own import import_own


class DataSet(NamedTuple):
    """One data set.

    Attributes:
        name: Name on the command line.
        classes: Names and ids of its classes.
        samples: ``(root, split) -> samples`` in the order of the official list.
        make: Writes the files under a root, where they can be generated.
        official: Split -> images of the published data set. Information: subsets are no error.
        read_ids: ``(root, names) -> ids`` where a file of the data set numbers the labels.
        palette: 256 RGB colours, flat, by training id.
    """

    name: str
    classes: labels.ClassSet
    samples: Callable[[Path, str], list[Sample]]
    make: Callable[[Path], None] | None = None
    official: Mapping[str, int] = MappingProxyType({})
    read_ids: Callable[[Path, tuple[str, ...]], dict[int, int]] | None = None
    palette: Callable[[], list[int]] = labels.voc_palette

    def split(self, root: Path, name: str) -> list[Sample]:
        """Samples of a split.

        Args:
            root: Root of the data set.
            name: Official name; ``NAME.held`` is every fifth sample of it and ``NAME.fit`` the
                others, for choices that must not see the validation set.

        Raises:
            UserError: If there is no such split, or a file of it is missing.
        """
        official, _, part = name.partition(".")
        samples = self.samples(root, official)
        if part not in ("", "fit", "held"):
            raise UserError(f"split {name!r}: expected {official}.fit or {official}.held")
        if not part:
            return samples
        return [s for i, s in enumerate(samples) if (i % 5 == 4) == (part == "held")]

    def classes_at(self, root: Path) -> labels.ClassSet:
        """The classes with the ids of the files under a root.

        Raises:
            UserError: If the file that numbers them is missing or disagrees.
        """
        if self.read_ids is None:
            return self.classes
        return self.classes._replace(ids=self.read_ids(root, self.classes.names))


_CONTEXT = DataSet(
    "context",
    labels.CONTEXT,
    context_samples,
    official={"train": 4998, "val": 5105},
    read_ids=context_ids,
)
_CITYSCAPES = DataSet(
    "cityscapes",
    labels.CITYSCAPES,
    cityscapes_samples,
    official={"train": 2975, "val": 500},
    palette=labels.cityscapes_palette,
)

#: Data module class -> data set.
DATA_SETS = {
    "reproduce.data.VOCDataModule": DataSet(
        "voc",
        labels.VOC,
        voc_samples,
        official={"train": 1464, "val": 1449, "trainaug": 10582},
    ),
    "reproduce.data.ShapesDataModule": DataSet("shapes", labels.SHAPES, voc_samples, make_shapes),
    "reproduce.data.CamVidDataModule": DataSet(
        "camvid",
        labels.CAMVID,
        camvid_samples,
        official={"train": 367, "val": 101, "test": 233},
    ),
    "reproduce.data.ContextDataModule": _CONTEXT,
    "reproduce.data.Context59DataModule": _CONTEXT._replace(
        name="context59", classes=labels.CONTEXT59
    ),
    "reproduce.data.CityscapesDataModule": _CITYSCAPES,
    "reproduce.data.ClutterDataModule": DataSet(
        "clutter", labels.CLUTTER, context_samples, make_clutter, read_ids=context_ids
    ),
    "reproduce.data.StreetsDataModule": _CITYSCAPES._replace(
        name="streets", make=make_streets, official={}
    ),
}


def data_set(class_path: str) -> DataSet:
    """Data set of a data module.

    Args:
        class_path: A key of :data:`DATA_SETS`, or a class outside of this package, which is
            imported and whose attribute ``data`` is taken.

    Raises:
        UserError: If there is no such class, or it has no data set.
    """
    if class_path in DATA_SETS:
        return DATA_SETS[class_path]
    if class_path.startswith("reproduce.") or "." not in class_path:
        raise UserError(f"unknown data {class_path!r}: expected one of {', '.join(DATA_SETS)}")
    found = getattr(import_own(class_path), "data", None)
    if not isinstance(found, DataSet):
        raise UserError(
            f"{class_path} has no attribute data with a DataSet: docs/experiments.md has an example"
        )
    return found
