"""Pictures one after another: read, segmented, refined in the background, written."""

import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
from tqdm import tqdm

from reproduce.errors import UserError
from reproduce.postprocess import CRFError, CRFPool, DenseCRF
from reproduce.segment.answer import Answer, answer_of
from reproduce.segment.drawing import save
from reproduce.segment.level_map import level_map
from reproduce.segment.names import Picture
from reproduce.segment.network import TrainedNetwork
from reproduce.segment.overlay import overlay, palette_picture
from reproduce.segment.pictures import read_picture
from reproduce.segment.tiles import STRIDE, Maps, Pixels, probabilities, tiled


class Session:
    """One call: the network, and what has been done and has failed.

    Args:
        network: Network.
        bar: Display of the progress.
        shown: Class whose level set function is drawn.
        tile: Side of the tiles, in pixels the network sees.
    """

    def __init__(
        self, network: TrainedNetwork, bar: "tqdm[Any]", shown: int | None, tile: int
    ) -> None:
        self.network = network
        self.bar = bar
        self.shown = shown
        self.tile = tile * network.downscale
        self.failed = 0
        self.waiting: dict[int, tuple[Picture, Pixels]] = {}

    def finish(self, picture: Picture, pixels: Pixels, answer: Answer) -> None:
        """Write the results of a picture."""
        names, palette = self.network.class_names, self.network.palette
        save(palette_picture(answer.labels, palette), picture.result(".png"))
        drawn = overlay(pixels, answer.labels, names, palette)
        save(drawn, picture.result("_overlay.jpg"))
        if answer.phi is not None and self.shown is not None:
            drawn = level_map(pixels, answer.phi, names[self.shown])
            save(drawn, picture.result("_level_set.png"))
        self.bar.update()

    def fail(self, reason: str) -> None:
        """Tell of a picture that cannot be done."""
        self.failed += 1
        self.bar.write(f"reproduce: {reason}", file=sys.stderr)
        self.bar.update()

    def drop(self, error: CRFError) -> None:
        """Tell of a picture that the CRF failed on."""
        (key,) = (key for key in self.waiting if key == error.key)
        picture, _ = self.waiting.pop(key)
        self.fail(f"{picture.source}: {str(error).partition(': ')[2]}")

    def in_tiles(self, pixels: Pixels, crf: DenseCRF | None) -> Answer:
        """The answer for a picture larger than a tile; the CRF refines each tile."""

        def answer(part: Pixels) -> Maps:
            maps = probabilities(self.network, part)
            return maps if crf is None else crf(part, maps)

        size = pixels.shape[:2]
        labels = np.zeros(size, np.uint8)
        phi = None if self.shown is None else np.zeros(size, np.float16)
        stride = STRIDE * self.network.downscale
        for rows, columns, maps in tiled(answer, pixels, self.tile, stride):
            found = answer_of(maps, self.shown)
            labels[rows, columns] = found.labels
            if phi is not None:
                phi[rows, columns] = found.phi
        return Answer(labels, phi)

    def take(self, pool: CRFPool, *, wait: bool) -> None:
        """Finish what the pool has refined."""
        while True:
            try:
                for key, answer in pool.results(wait=wait):
                    self.finish(*self.waiting.pop(key), answer)
            except CRFError as error:
                self.drop(error)
            else:
                return

    def submit(self, pool: CRFPool, key: int, pixels: Pixels, maps: Maps) -> None:
        """Hand a picture to the pool, which first tells of earlier ones that failed."""
        while True:
            try:
                return pool.submit(key, pixels, maps)
            except CRFError as error:
                self.drop(error)

    def do(self, key: int, picture: Picture, pool: CRFPool | None) -> None:
        """Segment one picture, or begin to.

        Raises:
            UserError: If it cannot be decoded.
        """
        pixels = read_picture(picture.source)
        if max(pixels.shape[:2]) > self.tile:
            self.finish(picture, pixels, self.in_tiles(pixels, pool.crf if pool else None))
            return
        maps = probabilities(self.network, pixels)
        if pool is None:
            self.finish(picture, pixels, answer_of(maps, self.shown))
            return
        self.waiting[key] = picture, pixels
        self.submit(pool, key, pixels, maps)
        self.take(pool, wait=False)

    def do_all(self, pictures: Sequence[Picture], pool: CRFPool | None) -> None:
        """Segment all pictures; one that cannot be done stops no other."""
        for key, picture in enumerate(pictures):
            try:
                self.do(key, picture, pool)
            except UserError as error:
                self.fail(str(error))
            except (ValueError, RuntimeError, MemoryError) as error:
                reason = " ".join(str(error).split()) or type(error).__name__
                full = isinstance(error, MemoryError) or "memory" in reason
                self.fail(f"{picture.source}: {reason}{': use a smaller --tile' * full}")
        if pool is not None:
            self.take(pool, wait=True)
