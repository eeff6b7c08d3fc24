"""``reproduce segment``: labels, overlays and level set maps of the user's own pictures."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from tqdm import tqdm

from reproduce.errors import UserError
from reproduce.postprocess import CRFPool, DenseCRF
from reproduce.segment import load_network
from reproduce.segment.answer import answer_of
from reproduce.segment.names import plan
from reproduce.segment.session import Session
from reproduce.segment.tiles import LEAST

#: The CRF of a network for which no own parameters are known.
PRESET = "deeplab_resnet101"


@dataclass(frozen=True)
class Request:
    """What the user asks for.

    Attributes:
        checkpoint: As for :func:`reproduce.segment.load_network`.
        pictures: Files and folders.
        out: Folder of the results.
        crf: Refine by the CRF.
        level_set: Class whose level set function is drawn, by name or number.
        tile: Larger pictures are cut into tiles of this side, in pixels the network sees.
        workers: Processes of the CRF.
        allow: Modules of the user whose classes the checkpoint may name.
    """

    checkpoint: Path
    pictures: Sequence[Path]
    out: Path
    crf: bool = False
    level_set: str | None = None
    tile: int = 1024
    workers: int = min(os.cpu_count() or 1, 8)
    allow: Sequence[str] = ()


def class_index(names: Sequence[str], wanted: str) -> int:
    """Class by name or number.

    Raises:
        UserError: If there is none.
    """
    folded = [name.casefold() for name in names]
    if wanted.casefold() in folded:
        return folded.index(wanted.casefold())
    if wanted.isdecimal() and int(wanted) < len(names):
        return int(wanted)
    raise UserError(f"unknown class {wanted!r}: expected one of {', '.join(names)}")


def segment_pictures(request: Request) -> int:
    """Segment the user's pictures.

    Returns:
        0, or 1 if some could not be done.

    Raises:
        UserError: If the network, the class, the tiles or a path is not what was expected.
    """
    if request.tile < LEAST:
        raise UserError(f"expected --tile of at least {LEAST} pixels, got {request.tile}")
    network = load_network(request.checkpoint, request.allow)
    network.to("cuda" if torch.cuda.is_available() else "cpu")
    shown = None
    if request.level_set is not None:
        shown = class_index(network.class_names, request.level_set)
    endings = [".png", "_overlay.jpg", *([] if shown is None else ["_level_set.png"])]
    pictures = plan(request.pictures, request.out, endings)
    with tqdm(total=len(pictures), unit="picture", disable=None) as bar:
        session = Session(network, bar, shown, request.tile)
        request.out.mkdir(parents=True, exist_ok=True)
        if request.crf:
            crf = network.crf or DenseCRF.preset(PRESET)
            reduce = partial(answer_of, shown=shown)
            with CRFPool(crf, request.workers, queue=2 * request.workers, reduce=reduce) as pool:
                session.do_all(pictures, pool)
        else:
            session.do_all(pictures, None)
    print(f"{len(pictures) - session.failed} of {len(pictures)} pictures are in {request.out}")
    return 1 if session.failed else 0
