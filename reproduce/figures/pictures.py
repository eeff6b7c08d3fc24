"""Sheets of examples: images with answers (Figures 1, 6, 7), level set functions (Figure 3)."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from reproduce.data.labels import VOID
from reproduce.figures.examples import Example, Examples, class_iou
from reproduce.figures.sheet import Sheet, labelled, photo
from reproduce.segment.drawing import Colour, resized
from reproduce.segment.level_map import INSIDE, LINE, OUTSIDE, ZERO, level_colours
from reproduce.segment.overlay import edges

#: Longer side of a picture on a sheet in pixels.
SIDE = 200
GAP, LINE_HEIGHT = 12, 18
GREY: Colour = (90, 90, 90)
#: Contour of the truth on level set maps.
TRUTH: Colour = (0, 150, 60)
#: Colours that a level set map is reduced to.
SHADES = 48


def shown_size(height: int, width: int) -> tuple[int, int]:
    """Height and width on a sheet: small pictures are enlarged by a whole factor.

    Example:
        >>> shown_size(96, 96), shown_size(375, 500)
        ((192, 192), (150, 200))
    """
    longer = max(height, width)
    if longer > SIDE:
        return max(height * SIDE // longer, 1), max(width * SIDE // longer, 1)
    return height * (SIDE // longer), width * (SIDE // longer)


def _reduced(
    pixels: NDArray[np.uint8], size: tuple[int, int], how: Image.Resampling
) -> NDArray[np.uint8]:
    """Pixels no larger than they are shown."""
    return resized(pixels, size, how) if size[0] < pixels.shape[0] else pixels


def _labels(examples: Examples, labels: NDArray[np.uint8], size: tuple[int, int]) -> Image.Image:
    return labelled(_reduced(labels, size, Image.Resampling.NEAREST), examples.palette)


def _photo(example: Example, size: tuple[int, int]) -> Image.Image:
    return photo(_reduced(example.image, size, Image.Resampling.BOX))


def _gain(example: Example, pair: tuple[str, str]) -> float:
    ours, base = pair
    return example.answers[ours].iou - example.answers[base].iou


def draw_examples(
    examples: Examples, columns: Mapping[str, str], pair: tuple[str, str], notes: Sequence[str]
) -> Sheet:
    """Image, truth and answers of every example, a row each.

    Args:
        examples: Images and answers.
        columns: Headings of the answers by column.
        pair: Column whose gain is looked at, and the one it is measured against.
        notes: Lines below: networks and runs.
    """
    sizes = [shown_size(*example.truth.shape) for example in examples.images]
    step = max(width for _, width in sizes) + GAP
    sheet = Sheet(step * (2 + len(columns)) - GAP)
    middle = (step - GAP) // 2
    for place, heading in enumerate(["image", "truth", *columns.values()]):
        sheet.words(place * step + middle, 16, heading, size=14, anchor="middle")
    y = 22
    for example, size in zip(examples.images, sizes, strict=True):
        gain = _gain(example, pair)
        y += LINE_HEIGHT
        sheet.words(0, y - 4, f"{example.rule} {gain:+.1f}: {example.name}", size=12)
        sheet.picture(0, y, size, _photo(example, size))
        sheet.picture(step, y, size, _labels(examples, example.truth, size))
        for place, key in enumerate(columns, 2):
            answer = example.answers[key]
            sheet.picture(place * step, y, size, _labels(examples, answer.labels, size))
            text = f"IoU {answer.iou:.1f} %"
            sheet.words(place * step + size[1], y - 4, text, size=12, anchor="end", colour=GREY)
        y += size[0] + 6
    entries = [(examples.classes.names[c], [examples.colour(c)]) for c in examples.present()]
    if any((example.truth == VOID).any() for example in examples.images):
        entries.append(("void", [examples.colour(VOID)]))
    return _finish(sheet, y, entries, notes)


def shown_class(example: Example, pair: tuple[str, str], clear: set[int]) -> int:
    """Object of the truth whose IoU gains most in an image; the lowest number of equal ones."""
    ours, base = (class_iou(example.answers[key].labels, example.truth) for key in pair)
    present = {int(c) for c in np.unique(example.truth)} - {VOID}
    objects = sorted(present - clear) or sorted(present)
    return max(objects, key=lambda c: ours[c] - base[c])


def draw_level_set(
    examples: Examples, columns: Mapping[str, str], pair: tuple[str, str], notes: Sequence[str]
) -> Sheet:
    """Level set functions phi = P - 1/2 of one class in the first image, one for each training.

    Args:
        examples: Images and answers.
        columns: Headings of the answers by column; those of ``pair`` are shown.
        pair: Column whose gain is looked at, and the one it is measured against.
        notes: Lines below: networks and runs.
    """
    example = examples.images[0]
    index = shown_class(example, pair, examples.clear)
    name = examples.classes.names[index]
    size = shown_size(*example.truth.shape)
    step = size[1] + GAP
    sheet = Sheet(4 * step - GAP)
    mask = np.where(example.truth == VOID, VOID, example.truth == index).astype(np.uint8)
    colours = np.array(examples.palette, np.uint8).reshape(-1, 3)
    colours[1] = examples.colour(index)
    outline = edges(resized((mask == 1).astype(np.uint8), size, Image.Resampling.NEAREST), 2)
    headings = ["image", f"truth: {name}"]
    pictures = [
        _photo(example, size),
        labelled(_reduced(mask, size, Image.Resampling.NEAREST), colours.ravel().tolist()),
    ]
    for key in (key for key in columns if key in pair):
        phi = example.answers[key].maps[index].astype(np.float32) - 0.5
        mapped = level_colours(np.full_like(example.image, 255), phi, size)
        mapped[outline & (mapped != LINE).any(-1)] = TRUTH
        pictures.append(Image.fromarray(mapped).quantize(SHADES))
        iou = class_iou(example.answers[key].labels, example.truth)[index]
        headings.append(f"φ, {columns[key]} (IoU {iou:.1f} %)")
    for place, (heading, picture) in enumerate(zip(headings, pictures, strict=True)):
        sheet.words(place * step + size[1] // 2, 16, heading, size=14, anchor="middle")
        sheet.picture(place * step, 24, size, picture)
    entries: list[tuple[str, list[Colour]]] = [
        (f"φ = P({name}) − ½, from −½ to ½", [OUTSIDE, ZERO, INSIDE]),
        ("zero level line φ = 0", [LINE]),
        ("contour of the truth", [TRUTH]),
    ]
    chosen = f"Image {example.name}, {example.rule} in IoU; {name}: its object that gains most."
    return _finish(sheet, 24 + size[0] + 6, entries, [chosen, *notes])


def _finish(
    sheet: Sheet,
    y: int,
    entries: Sequence[tuple[str, Sequence[Colour]]],
    notes: Sequence[str],
) -> Sheet:
    """Legend and notes below the pictures."""
    y = sheet.legend(y + 4, entries) + 4
    for note in notes:
        y = sheet.paragraph(y, note, colour=GREY)
    sheet.height = y
    return sheet
