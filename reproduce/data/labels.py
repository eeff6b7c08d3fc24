"""Class names and palettes: the single source for every data set."""

from typing import NamedTuple

VOID = 255


def voc_palette() -> list[int]:
    """256 RGB colours of PASCAL VOC's bit-shift colour map, flat; 255 (void) is cream.

    Example:
        >>> voc_palette()[3:6], voc_palette()[-3:]
        ([128, 0, 0], [224, 224, 192])
    """
    colours = []
    for index in range(256):
        colour, rest = [0, 0, 0], index
        for bit in range(8):
            for channel in range(3):
                colour[channel] |= (rest >> channel & 1) << (7 - bit)
            rest >>= 3
        colours += colour
    return colours


class ClassSet(NamedTuple):
    """Classes of a data set and how its files number them.

    Attributes:
        names: Name of each class, in the order of the training ids.
        ids: Label in the files -> training id; other labels are errors.
    """

    names: tuple[str, ...]
    ids: dict[int, int]


def _plain(*names: str, void: int = VOID) -> ClassSet:
    return ClassSet(names, {**{i: i for i in range(len(names))}, void: VOID})


VOC = _plain(
    *("background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat"),
    *("chair", "cow", "diningtable", "dog", "horse", "motorbike", "person", "pottedplant"),
    *("sheep", "sofa", "train", "tvmonitor"),
)
SHAPES = _plain("background", "disk", "square", "triangle", "ring", "cross", "stick")
CAMVID = _plain(
    *("sky", "building", "pole", "road", "pavement", "tree", "sign", "fence", "car"),
    *("pedestrian", "bicyclist"),
    void=11,
)
