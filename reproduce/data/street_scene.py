"""One generated street: what :mod:`reproduce.data.streets` consists of. Integers alone."""

import numpy as np
from numpy.typing import NDArray

from reproduce.data.labels import CITYSCAPES, CITYSCAPES_IDS

HEIGHT, WIDTH = 64, 128

#: Label in the files of each class, and of the kinds of void that are drawn.
LABELS = {CITYSCAPES.names[index]: label for label, index in CITYSCAPES_IDS.items()}
LABELS |= {"ego vehicle": 1, "out of roi": 3, "static": 4}

#: Objects and how often each is drawn.
TRAFFIC = {"car": 6, "truck": 3, "bus": 3, "motorcycle": 3, "bicycle": 3, "rider": 3}
SIDE = {"person": 5, "pole": 3, "traffic light": 3, "traffic sign": 3, "static": 1}

Y, X = np.mgrid[:HEIGHT, :WIDTH]

Colour = tuple[int, int, int] | NDArray[np.int64]
Region = NDArray[np.bool_]


def box(top: int, bottom: int, left: int, right: int) -> Region:
    """Pixels of rows ``top`` to ``bottom - 1`` and columns ``left`` to ``right - 1``."""
    return np.asarray((top <= Y) & (bottom > Y) & (left <= X) & (right > X))


def disk(y: int, x: int, radius: int) -> Region:
    """Pixels within ``radius`` of a pixel."""
    return np.asarray((Y - y) ** 2 + (X - x) ** 2 <= radius**2)


class Street:
    """A street that is painted from back to front.

    Args:
        rng: Source of randomness; equal states give equal streets.
    """

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng
        self.image = np.zeros((HEIGHT, WIDTH, 3), np.int64)
        self.noise = rng.integers(-12, 13, (HEIGHT, WIDTH))
        self.labels = np.zeros((HEIGHT, WIDTH), np.uint8)
        self.horizon = int(rng.integers(22, 31))
        self.centre = int(rng.integers(48, 81))
        self.slope = int(rng.integers(5, 9))  # half of the road widens by slope / 4 a row

    def paint(
        self, region: Region, name: str, colour: Colour, pattern: NDArray[np.int64] | int = 0
    ) -> None:
        """Colour, pattern and noise on a region, which gets the label of a name."""
        self.image[region] = np.asarray(colour) + (self.noise + pattern)[region][:, None]
        self.labels[region] = LABELS[name]

    def tint(self, *colour: int, spread: int = 25) -> NDArray[np.int64]:
        """A colour near another."""
        return np.array(colour) + self.rng.integers(-spread, spread + 1, 3)

    def backdrop(self) -> None:
        """Sky, buildings, and trees before them."""
        rng, horizon = self.rng, self.horizon
        self.paint(Y >= 0, "sky", self.tint(150, 160, 175), Y)
        left = 0
        while left < WIDTH:
            right = left + int(rng.integers(12, 31))
            if rng.random() < 0.8:
                top = int(rng.integers(3, horizon - 5))
                windows = ((Y - top) % 6 // 2 == 1) & ((X - left) % 5 // 2 == 1)
                house = box(top, horizon + 4, left, right)
                self.paint(house, "building", self.tint(120, 110, 105), np.where(windows, -50, 0))
            left = right
        for _ in range(rng.integers(1, 5)):
            x, radius = int(rng.integers(WIDTH)), int(rng.integers(4, 10))
            y = horizon - radius + int(rng.integers(-2, 3))
            tree = disk(y, x, radius) | disk(y + 2, x + radius // 2, radius * 2 // 3)
            leaves = rng.integers(-35, 36, (HEIGHT // 2, WIDTH // 2)).repeat(2, 0).repeat(2, 1)
            tree |= box(y, horizon + 4, x - 1, x + 1)
            self.paint(tree, "vegetation", self.tint(95, 115, 80), leaves)

    def ground(self) -> None:
        """Sidewalk, terrain, road with markings; a wall or a fence along it."""
        rng, horizon = self.rng, self.horizon
        ground = horizon + 2 <= Y
        tiles = np.where((Y % 6 == 0) | ((X + 2 * Y) % 10 == 0), -22, 0)
        self.paint(ground, "sidewalk", self.tint(130, 122, 122), tiles)
        left_side = self.centre > X
        for side in (left_side, ~left_side):
            if rng.random() < 0.5:
                blades = rng.integers(-35, 36, (HEIGHT // 4, WIDTH)).repeat(4, 0)
                strip = ground & side & (horizon + int(rng.integers(6, 16)) > Y)
                self.paint(strip, "terrain", self.tint(115, 125, 90), blades)
            if rng.random() < 0.6:
                kind = ("wall", "fence")[rng.integers(2)]
                depth, height = int(rng.integers(2, 6)), int(rng.integers(4, 8))
                pattern = np.where(X % 3 == 0, -45, 25) if kind == "fence" else -12 * (Y % 3 == 0)
                edge = self._half_width(depth) + 3
                bar = box(horizon + depth - height, horizon + depth, 0, WIDTH) & side
                bar &= abs(X - self.centre) >= edge
                self.paint(bar, kind, self.tint(125, 118, 112), pattern)
        offset = abs(X - self.centre)
        road = ground & (offset <= 4 + (Y - horizon) * self.slope // 4)
        marks = (offset <= (Y - horizon) // 16) & (Y // 4 % 2 == 0)
        self.paint(road, "road", self.tint(100, 100, 105, spread=20), np.where(marks, 70, 0))

    def _half_width(self, depth: int) -> int:
        return 4 + depth * self.slope // 4

    def train(self) -> None:
        """A tram at the side, in some streets."""
        if self.rng.random() < 0.3:
            left, length = int(self.rng.integers(-10, 90)), int(self.rng.integers(34, 56))
            bottom = self.horizon + 5
            top = bottom - int(self.rng.integers(9, 13))
            body = box(top, bottom, left, left + length)
            windows = (Y - top) // 3 == 1
            pattern = np.where(windows & ((X - left) % 7 > 0), -50, 0) + 40 * (bottom - 2 == Y)
            self.paint(body, "train", self.tint(110, 115, 115, spread=40), pattern)

    def objects(self) -> None:
        """Traffic on the road, people and poles beside it, the near ones over the far ones."""
        rng = self.rng
        kinds = [k for k, n in (TRAFFIC | SIDE).items() for _ in range(n)]
        bottoms = sorted(int(b) for b in rng.integers(self.horizon + 4, 60, rng.integers(7, 13)))
        for bottom in bottoms:
            kind, depth = kinds[rng.integers(len(kinds))], bottom - self.horizon
            half = self._half_width(depth)
            sign = 1 - 2 * int(rng.integers(2))
            away = rng.integers(half + 1) if kind in TRAFFIC else half + rng.integers(1, 25)
            self._object(kind, bottom, self.centre + sign * int(away), 6 + depth)

    def _object(self, kind: str, bottom: int, x: int, size: int) -> None:
        """One object; ``size`` is its nearness, 10 (far) to 44."""
        if kind in {"car", "truck", "bus"}:
            self._vehicle(kind, bottom, x, size)
        elif kind in {"bicycle", "motorcycle"}:
            self._bike(kind, bottom, x, size)
        elif kind == "rider":
            on = ("bicycle", "motorcycle")[self.rng.integers(2)]
            self._bike(on, bottom, x, size)
            self._human("rider", bottom - size // 7, x, size * 4 // 5)
        elif kind == "person":
            self._human("person", bottom, x, size)
        elif kind == "static":
            height = 2 + size // 6
            body = box(bottom - height, bottom, x, x + height)
            self.paint(body, "static", self.tint(110, 110, 110, spread=50))
        else:
            self._pole(kind, bottom, x, size)

    def _vehicle(self, kind: str, bottom: int, x: int, size: int) -> None:
        width, height = {
            "car": (size * 5 // 8, size // 3),
            "truck": (size * 3 // 4, size * 2 // 3),
            "bus": (size * 7 // 8, size * 2 // 3),
        }[kind]
        top, left, wheel = bottom - height, x - width // 2, max(1, size // 14)
        colour = self.tint(110, 110, 115, spread=70)
        if kind == "car":  # a body with a narrower cabin of glass
            cabin = box(top, bottom, left + width // 5, left + width * 4 // 5)
            self.paint(cabin, kind, colour, np.where(top < Y, -55, 0))
            self.paint(box(top + height // 2, bottom, left, left + width), kind, colour)
        elif kind == "bus":  # a row of windows
            glass = (top + height // 6 <= Y) & (top + height // 2 > Y)
            glass &= (X - left) % max(3, size // 6) > 0
            pattern = np.where(glass, -60, 0)
            self.paint(box(top, bottom, left, left + width), kind, colour, pattern)
        else:  # a plain box behind a lower cab
            self.paint(box(top, bottom - wheel, left + width // 3, left + width), kind, colour + 25)
            cab = box(top + height // 4, bottom, left, left + width // 3)
            self.paint(cab, kind, colour - 25, np.where(top + height // 2 > Y, -40, 0))
        for place in (left + width // 5, left + width * 4 // 5):
            self.paint(disk(bottom - 1, place, wheel), kind, (35, 35, 35))

    def _bike(self, kind: str, bottom: int, x: int, size: int) -> None:
        radius, half = max(2, size // 9), max(3, size // 6)
        y = bottom - radius
        colour = self.tint(70, 70, 75)
        for place in (x - half, x + half):
            wheel = disk(y, place, radius)
            if kind == "bicycle":
                wheel &= ~disk(y, place, radius - max(1, radius // 3))
            self.paint(wheel, kind, colour)
        self.paint(
            box(y - radius, y - radius + max(1, size // 20), x - half, x + half), kind, colour
        )
        if kind == "motorcycle":  # tank and seat
            self.paint(box(y - radius, y + 1, x - half, x + half), kind, self.tint(110, 90, 90))
        else:
            self.paint(box(y - radius, y + 1, x, x + 1), kind, colour)

    def _human(self, name: str, bottom: int, x: int, size: int) -> None:
        height, half = size // 2, max(1, size // 12)
        top, head = bottom - height, max(1, size // 16)
        legs = box(bottom - height // 2, bottom, x - half, x + half) & ((x != X) | (half < 2))
        self.paint(legs, name, self.tint(75, 75, 90, spread=35))
        torso = box(top + head, bottom - height // 2, x - half, x + half + 1)
        self.paint(torso, name, self.tint(120, 105, 105, spread=60))
        self.paint(disk(top + head, x, head), name, self.tint(165, 135, 115, spread=15))

    def _pole(self, kind: str, bottom: int, x: int, size: int) -> None:
        """A pole of one or two pixels with what it carries."""
        top, thick = bottom - size, 1 + size // 30
        self.paint(box(top, bottom, x, x + thick), "pole", self.tint(115, 115, 115))
        side = max(2, size // 9)
        if kind == "traffic light":
            self.paint(box(top, top + 2 * side, x - side // 2, x + side), kind, (45, 45, 45))
            lamp = int(self.rng.integers(2))
            colour = ((210, 80, 60), (80, 190, 110))[lamp]
            spot = disk(top + side // 2 + lamp * side, x, max(1, side // 3))
            self.paint(spot & (self.labels == LABELS[kind]), kind, colour)
        elif kind == "traffic sign":
            plate = disk(top + side, x, side)
            if self.rng.random() < 0.5:  # a triangle
                plate = (top <= Y) & (top + 2 * side > Y) & (2 * abs(X - x) <= Y - top + 1)
            self.paint(plate, kind, self.tint(160, 140, 120, spread=60))
            self.paint(disk(top + side, x, side // 2), kind, (215, 215, 215))

    def void(self) -> None:
        """The own bonnet, and the margins that rectification leaves."""
        bonnet = (HEIGHT - 5) * 512 + (X - WIDTH // 2) ** 2 <= Y * 512
        self.paint(bonnet, "ego vehicle", (60, 60, 65), 3 * (Y - HEIGHT))
        self.paint((X < 1) | (X >= WIDTH - 1), "out of roi", (0, 0, 0))


def draw(rng: np.random.Generator) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """One street.

    Args:
        rng: Source of randomness; equal states give equal streets.

    Returns:
        RGB image ``(64, 128, 3)`` and Cityscapes' label ids ``(64, 128)``.
    """
    street = Street(rng)
    street.backdrop()
    street.train()
    street.ground()
    street.objects()
    street.void()
    return np.clip(street.image, 0, 255).astype(np.uint8), street.labels
