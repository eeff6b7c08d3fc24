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


#: RGB of Cityscapes' 19 classes, in the order of the training ids (cityscapesScripts, labels.py).
CITYSCAPES_COLOURS = (
    *((128, 64, 128), (244, 35, 232), (70, 70, 70), (102, 102, 156), (190, 153, 153)),
    *((153, 153, 153), (250, 170, 30), (220, 220, 0), (107, 142, 35), (152, 251, 152)),
    *((70, 130, 180), (220, 20, 60), (255, 0, 0), (0, 0, 142), (0, 0, 70), (0, 60, 100)),
    *((0, 80, 100), (0, 0, 230), (119, 11, 32)),
)


def cityscapes_palette() -> list[int]:
    """256 RGB colours of Cityscapes' training ids, flat; all but the 19 classes are black.

    Example:
        >>> cityscapes_palette()[:3], cityscapes_palette()[-3:]
        ([128, 64, 128], [0, 0, 0])
    """
    colours = [channel for colour in CITYSCAPES_COLOURS for channel in colour]
    return colours + [0] * (768 - len(colours))


class ClassSet(NamedTuple):
    """Classes of a data set and how its files number them.

    Attributes:
        names: Name of each class, in the order of the training ids.
        ids: Label in the files -> training id; other labels are errors. Empty where a file of
            the data set numbers them.
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

#: PASCAL-Context's 59 classes as ``labels.txt`` spells them, in the order of ``59_labels.txt``.
CONTEXT59 = ClassSet(
    (
        *("aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow"),
        *("table", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa"),
        *("train", "tvmonitor", "bag", "bed", "bench", "book", "building", "cabinet", "ceiling"),
        *("cloth", "computer", "cup", "door", "fence", "floor", "flower", "food", "grass"),
        *("ground", "keyboard", "light", "mountain", "mouse", "curtain", "platform", "sign"),
        *("plate", "road", "rock", "shelves", "sidewalk", "sky", "snow", "bedclothes", "track"),
        *("tree", "truck", "wall", "water", "window", "wood"),
    ),
    {},
)
CONTEXT = ClassSet(("background", *CONTEXT59.names), {})
CLUTTER = ClassSet(
    (
        *("background", "disk", "square", "triangle", "ring", "cross", "stick", "frame"),
        *("sky", "grass", "water", "wall", "floor"),
    ),
    {},
)

#: Cityscapes' label in the files -> training id (cityscapesScripts, labels.py); the rest is void.
CITYSCAPES_IDS = {
    label: index
    for index, label in enumerate(
        (7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33)
    )
}
CITYSCAPES = ClassSet(
    (
        *("road", "sidewalk", "building", "wall", "fence", "pole", "traffic light"),
        *("traffic sign", "vegetation", "terrain", "sky", "person", "rider", "car", "truck"),
        *("bus", "train", "motorcycle", "bicycle"),
    ),
    # License plates have id -1, which a uint8 file can only hold as 255.
    {**dict.fromkeys((*range(34), 255), VOID), **CITYSCAPES_IDS},
)
