"""Mean field of the dense CRF by brute force, written from Krähenbühl and Koltun's paper.

All pairs of pixels are summed up in float64, where the library interpolates on a lattice. It
follows the library in two conventions: the sum over j has j = i too, and each kernel is divided by
the roots of both pixels' sums.
"""

import numpy as np
from numpy.typing import NDArray

from reproduce.postprocess import DenseCRF

Floats = NDArray[np.float64]


def kernel(features: Floats) -> Floats:
    """Symmetrically normalised Gaussian kernel ``(N, N)`` of features ``(N, d)``."""
    squares = ((features[:, None] - features[None]) ** 2).sum(-1)
    weights = np.exp(-squares / 2)
    sums = weights.sum(1)
    result: Floats = weights / np.sqrt(sums[:, None] * sums[None])
    return result


def softmax(energies: Floats) -> Floats:
    """Over the first axis."""
    powers = np.exp(energies - energies.max(0))
    result: Floats = powers / powers.sum(0)
    return result


def mean_field(crf: DenseCRF, image: np.ndarray, probabilities: np.ndarray) -> Floats:
    """Marginals ``(C, H, W)`` of an RGB image of at most about 32 x 32."""
    classes, height, width = probabilities.shape
    rows, columns = np.mgrid[:height, :width]
    place = np.stack([columns.ravel(), rows.ravel()], 1).astype(np.float64)
    colour = image.reshape(-1, 3).astype(np.float64)
    spatial = kernel(place / crf.pos_xy_std)
    bilateral = kernel(np.hstack([place / crf.bi_xy_std, colour / crf.bi_rgb_std]))
    log_unary = np.log(np.maximum(probabilities.reshape(classes, -1).astype(np.float64), 1e-5))
    q = softmax(log_unary)
    for _ in range(crf.iterations):
        # Potts: a label is penalised by the mass of all others; up to a constant per pixel,
        # it is rewarded by its own.
        q = softmax(log_unary + crf.pos_w * q @ spatial + crf.bi_w * q @ bilateral)
    return q.reshape(probabilities.shape)
