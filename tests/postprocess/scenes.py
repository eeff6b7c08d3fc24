"""Made images with an object, and noisy probabilities of them."""

import numpy as np


def scene(
    height: int = 32, width: int = 28, classes: int = 3, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Image uint8 ``(H, W, 3)`` with a bright box and probabilities ``(C, H, W)`` float32."""
    rng = np.random.default_rng(seed)
    box = slice(height // 4, 3 * height // 4), slice(width // 4, 3 * width // 4)
    shades = np.full((height, width, 3), 60)
    shades[box] = 170
    image = np.clip(shades + rng.normal(0, 6, shades.shape), 0, 255).astype(np.uint8)
    logits = rng.normal(0, 1, (classes, height, width))
    logits[0] += 1
    logits[1][box] += 2
    powers = np.exp(logits)
    return image, (powers / powers.sum(0)).astype(np.float32)
