"""Slow references, written from the paper's formulas pixel by pixel, sharing no code with ours."""

import math

from torch import Tensor


def heaviside_reference(z: float, kind: str, eps: float) -> float:
    """Eq. (6), Chan and Vese's forms 2 and 1, and eq. (2)."""
    if kind == "mahf":
        return 0.5 * (1 + math.tanh(z / eps))
    if kind == "ahf":
        return 0.5 * (1 + 2 / math.pi * math.atan(z / eps))
    if kind == "compact" and abs(z) <= eps:
        return 0.5 * (1 + z / eps + math.sin(math.pi * z / eps) / math.pi)
    return 1.0 if z >= 0 else 0.0


def energy_reference(
    logits: Tensor, target: Tensor, eps: float = 0.05, kind: str = "mahf", void: int = 255
) -> list[float]:
    """Eq. (4) and (5) of each image with Python floats."""
    energies = []
    for z, truth in zip(logits.double().tolist(), target.tolist(), strict=True):
        classes = range(len(z))
        pixels = [
            (y, x) for y, row in enumerate(truth) for x, label in enumerate(row) if label != void
        ]
        probability = {}
        for y, x in pixels:
            top = max(z[k][y][x] for k in classes)
            weights = [math.exp(z[k][y][x] - top) for k in classes]
            probability[y, x] = [w / math.fsum(weights) for w in weights]
        total = 0.0
        for label in sorted({truth[y][x] for y, x in pixels}):
            g = [1.0 if truth[y][x] == label else 0.0 for y, x in pixels]
            h = [heaviside_reference(probability[p][label] - 0.5, kind, eps) for p in pixels]
            inside, outside = math.fsum(h), math.fsum(1 - v for v in h)
            pairs = list(zip(g, h, strict=True))
            c1 = math.fsum(a * b for a, b in pairs) / inside if inside else 0.0
            c2 = math.fsum(a * (1 - b) for a, b in pairs) / outside if outside else 0.0
            total += math.fsum((a - c1) ** 2 * b + (a - c2) ** 2 * (1 - b) for a, b in pairs)
        energies.append(total)
    return energies


def cross_entropy_reference(logits: Tensor, target: Tensor, void: int = 255) -> float:
    """Mean over valid pixels of -log softmax at the label."""
    losses = []
    for z, truth in zip(logits.double().tolist(), target.tolist(), strict=True):
        for y, row in enumerate(truth):
            for x, label in enumerate(row):
                if label != void:
                    values = [plane[y][x] for plane in z]
                    top = max(values)
                    total = math.fsum(math.exp(v - top) for v in values)
                    losses.append(top + math.log(total) - values[label])
    return math.fsum(losses) / len(losses)
