"""Slow references of the rivals, written from the papers' formulas pixel by pixel.

They share no code with ours and use Python floats; the one of RMI uses numpy's linear algebra.
"""

import itertools
import math
from typing import NamedTuple

import numpy as np
from torch import Tensor

VOID = 255


class Pixel(NamedTuple):
    """A valid pixel: its image, place, label, logits and probabilities."""

    image: int
    y: int
    x: int
    label: int
    z: list[float]
    p: list[float]


def softmax(z: list[float]) -> list[float]:
    top = max(z)
    weights = [math.exp(v - top) for v in z]
    return [w / math.fsum(weights) for w in weights]


def pixels(logits: Tensor, target: Tensor) -> list[Pixel]:
    scores, labels = logits.double().tolist(), target.tolist()
    found = []
    for image, truth in enumerate(labels):
        for y, row in enumerate(truth):
            for x, label in enumerate(row):
                if label != VOID:
                    z = [plane[y][x] for plane in scores[image]]
                    found.append(Pixel(image, y, x, label, z, softmax(z)))
    return found


def mean(values: list[float]) -> float:
    return math.fsum(values) / len(values)


def cross_entropies(logits: Tensor, target: Tensor) -> list[float]:
    return [-math.log(q.p[q.label]) for q in pixels(logits, target)]


def focal_reference(logits: Tensor, target: Tensor, gamma: float) -> float:
    return mean([(1 - math.exp(-v)) ** gamma * v for v in cross_entropies(logits, target)])


def sigmoid_focal_reference(logits: Tensor, target: Tensor, gamma: float) -> float:
    losses = []
    for q in pixels(logits, target):
        total = 0.0
        for k, z in enumerate(q.z):
            right = 1 / (1 + math.exp(-z if k == q.label else z))
            total -= (1 - right) ** gamma * math.log(right)
        losses.append(total)
    return mean(losses)


def tversky_reference(
    logits: Tensor, target: Tensor, alpha: float, beta: float, smooth: float
) -> float:
    found = pixels(logits, target)
    losses = []
    for k in {q.label for q in found}:
        hits = math.fsum(q.p[k] for q in found if q.label == k)
        extra = math.fsum(q.p[k] for q in found if q.label != k)
        missed = math.fsum(1 - q.p[k] for q in found if q.label == k)
        losses.append(1 - (hits + smooth) / (hits + alpha * extra + beta * missed + smooth))
    return mean(losses)


def dice_reference(logits: Tensor, target: Tensor) -> float:
    found = pixels(logits, target)
    losses = []
    for k in {q.label for q in found}:
        size = sum(q.label == k for q in found)
        hits = math.fsum(q.p[k] for q in found if q.label == k)
        losses.append(1 - 2 * hits / (math.fsum(q.p[k] for q in found) + size))
    return mean(losses)


def lovasz_reference(logits: Tensor, target: Tensor) -> float:
    """The Lovász extension of the set function: wrong pixels -> Jaccard loss."""
    found = pixels(logits, target)
    losses = []
    for k in {q.label for q in found}:
        truth = {i for i, q in enumerate(found) if q.label == k}

        def jaccard_loss(wrong: set[int], truth: set[int] = truth) -> float:
            return 1 - len(truth - wrong) / len(truth | wrong)

        errors = [1 - q.p[k] if q.label == k else q.p[k] for q in found]
        order = sorted(range(len(errors)), key=lambda i, e=errors: -e[i])  # type: ignore[misc]
        total, wrong = 0.0, set[int]()
        for i in order:
            before = jaccard_loss(wrong)
            wrong.add(i)
            total += errors[i] * (jaccard_loss(wrong) - before)
        losses.append(total)
    return mean(losses)


def max_pooling_weights_reference(losses: list[float], ratio: float, p: float) -> list[float]:
    """The KKT conditions, with alpha found by bisection."""
    n, q = len(losses), p / (p - 1)
    m = ratio * n
    low, high = 0.0, max(losses) / ratio
    for _ in range(200):
        alpha = (low + high) / 2
        mass = math.fsum(1.0 if v >= alpha else (v / alpha) ** q for v in losses)
        low, high = (alpha, high) if mass > m else (low, alpha)
    tau = n ** (-1 / q) * m ** (-1 / p)
    return [tau * (1.0 if v >= high else (v / high) ** (q - 1)) for v in losses]


def max_pooling_reference(logits: Tensor, target: Tensor, ratio: float, p: float) -> float:
    losses = cross_entropies(logits, target)
    weights = max_pooling_weights_reference(losses, ratio, p)
    return math.fsum(w * v for w, v in zip(weights, losses, strict=True))


def adaptive_reference(
    logits: Tensor, target: Tensor, window: int, stride: int, sigma: float, k: float, merge: str
) -> float:
    found = pixels(logits, target)
    losses = []
    for centre in found:
        if centre.y % stride or centre.x % stride:
            continue
        total, mass = [0.0] * len(centre.z), 0.0
        for q in found:
            distance = max(abs(q.y - centre.y), abs(q.x - centre.x))
            if q.image == centre.image and q.label == centre.label and distance <= window // 2:
                g = math.exp(-(distance**2) / (2 * sigma**2))
                mass += g
                values = q.z if merge == "logits" else q.p
                total = [a + g * b for a, b in zip(total, values, strict=True)]
        merged = [v / mass for v in total]
        p = softmax(merged) if merge == "logits" else merged
        losses.append(-math.log(p[centre.label]))
    return float(mean([v**k for v in losses]) ** (1 / k))


def variation_reference(logits: Tensor, target: Tensor, eps: float = 1e-8) -> float:
    """Length of the softmax's contours, forward differences between valid pixels."""
    at = {(q.image, q.y, q.x): q.p for q in pixels(logits, target)}
    total = 0.0
    for (i, y, x), p in at.items():
        for k, value in enumerate(p):
            right = at.get((i, y, x + 1), p)[k] - value
            down = at.get((i, y + 1, x), p)[k] - value
            total += math.sqrt(right**2 + down**2 + eps) - math.sqrt(eps)
    return total


def active_contour_reference(logits: Tensor, target: Tensor, lam: float) -> float:
    found = pixels(logits, target)
    region = 0.0
    for q in found:
        for k, u in enumerate(q.p):
            v = float(k == q.label)
            region += u * (1 - v) ** 2 + (1 - u) * (0 - v) ** 2
    return (variation_reference(logits, target) + lam * region) / len(found)


def mumford_shah_reference(logits: Tensor, target: Tensor, lam: float) -> float:
    found = pixels(logits, target)
    classes = range(logits.shape[1])
    fit = 0.0
    for image in range(len(target)):
        here = [q for q in found if q.image == image]
        for region in classes:
            mass = math.fsum(q.p[region] for q in here)
            c = [math.fsum(q.p[region] for q in here if q.label == k) / mass for k in classes]
            for q in here:
                distance = math.fsum((float(k == q.label) - c[k]) ** 2 for k in classes)
                fit += distance * q.p[region]
    return (fit + lam * variation_reference(logits, target)) / len(found)


def boundary_reference(logits: Tensor, target: Tensor) -> float:
    found = pixels(logits, target)
    total = 0.0
    for q in found:
        here = [r for r in found if r.image == q.image]
        labels = {r.label for r in here}
        for k in labels if len(labels) > 1 else ():
            other = [r for r in here if (r.label == k) != (q.label == k)]
            distance = min(math.hypot(r.y - q.y, r.x - q.x) for r in other)
            total += (1 - distance if q.label == k else distance) * q.p[k]
    return total / len(found)


def rmi_reference(logits: Tensor, target: Tensor, radius: int, pool: int, ridge: float) -> float:
    batch, classes, height, width = logits.shape
    rows, columns = math.ceil(height / pool), math.ceil(width / pool)
    cells: dict[tuple[int, int, int], list[Pixel]] = {}
    for q in pixels(logits, target):
        cells.setdefault((q.image, q.y // pool, q.x // pool), []).append(q)
    total = 0.0
    for image, k in itertools.product(range(batch), range(classes)):
        truth, guess = [], []
        for y, x in itertools.product(range(rows - radius + 1), range(columns - radius + 1)):
            region = [
                cells.get((image, y + dy, x + dx))
                for dy, dx in itertools.product(range(radius), range(radius))
            ]
            if all(region):
                truth.append([mean([float(q.label == k) for q in cell]) for cell in region if cell])
                guess.append([mean([q.p[k] for q in cell]) for cell in region if cell])
        if not truth:
            continue
        y_map, p_map = (np.array(v) - np.mean(v, axis=0) for v in (truth, guess))
        eye = np.eye(radius**2)
        cross = y_map.T @ p_map
        left = y_map.T @ y_map - cross @ np.linalg.inv(p_map.T @ p_map + ridge * eye) @ cross.T
        total += 0.5 * np.linalg.slogdet(eye + left / ridge)[1]
    return float(total / batch / radius**2)
