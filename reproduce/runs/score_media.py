"""Scores as tables and a picture for Weights & Biases."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import wandb
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from reproduce.segment.drawing import text_font

#: Pixels of a cell of the picture, its margin for the names, and the colour of 100 %.
CELL, MARGIN, FULL = 24, 110, np.array((8, 48, 107))


def confusion_picture(counts: NDArray[np.int64], names: Sequence[str]) -> Image.Image:
    """A confusion matrix in which each row's darkness is the share of its true class.

    Args:
        counts: ``(C, C)``, rows = truth.
        names: Of the classes.
    """
    share = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    cells = (255 - share[..., None] * (255 - FULL)).round().astype(np.uint8)
    side = MARGIN + CELL * len(names)
    picture = Image.new("RGB", (side, side), "white")
    picture.paste(Image.fromarray(cells.repeat(CELL, 0).repeat(CELL, 1)), (MARGIN, MARGIN))
    font = text_font(13)
    draw = ImageDraw.Draw(picture)
    for i, name in enumerate(names):
        place = MARGIN + CELL * i
        draw.text((MARGIN - 5, place + CELL // 2), name, "black", font, anchor="rm")
        upright = Image.new("RGB", (MARGIN, CELL), "white")
        ImageDraw.Draw(upright).text((5, CELL // 2), name, "black", font, anchor="lm")
        picture.paste(upright.transpose(Image.Transpose.ROTATE_90), (place, 0))
    draw.text((5, MARGIN - 8), "truth ↓", "black", font, anchor="lb")
    return picture


def score_media(record: dict[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """What is logged of a record's scores at the end.

    Args:
        record: With ``scores`` and ``confusion``.
        names: Of the classes.

    Returns:
        ``scores/iou``, a table of the classes; ``scores/confusion``, a table of pixels by true
        (row) and found class, from which every score can be computed again;
        ``scores/confusion_picture``.
    """
    counts = np.array(record["confusion"], np.int64)
    pixels = counts.sum(1).tolist()
    rows = zip(names, record["scores"]["last"]["iou"], pixels, strict=True)
    by_class = [list(row) for row in rows]
    matrix = [[name, *row] for name, row in zip(names, counts.tolist(), strict=True)]
    return {
        "scores/iou": wandb.Table(["class", "IoU in percent", "true pixels"], by_class),
        "scores/confusion": wandb.Table(["truth", *names], matrix),
        "scores/confusion_picture": wandb.Image(
            confusion_picture(counts, names),
            caption="share of each true class (row) that was found as each class (column)",
        ),
    }
