"""Fully connected CRF with Gaussian edges by mean field, over pydensecrf2."""

import math
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray
from pydensecrf.densecrf import DenseCRF2D

from reproduce.postprocess.inputs import class_probabilities, rgb_image
from reproduce.postprocess.presets import PRESETS

#: pydensecrf keeps lattice coordinates in 16 bits; far beyond, it crashes the process.
LATTICE_LIMIT = 2**15


def unary_energy(probabilities: NDArray[np.float32]) -> NDArray[np.float32]:
    """``-log clip(p, 1e-5, 1)``, pixels in a row.

    Args:
        probabilities: ``(C, H, W)`` float32.

    Returns:
        ``(C, H W)`` float32, between 0 and 11.5.
    """
    clipped = np.clip(probabilities, 1e-5, 1).reshape(len(probabilities), -1)
    return np.negative(np.log(clipped, out=clipped), out=clipped)


@dataclass(frozen=True)
class DenseCRF:
    r"""Refines class probabilities by colour and position.

    The energy has the unary :math:`-\log P_l` and, for each pair of pixels with different labels,

    .. math:: w_1 \exp\left(-\frac{|p_i-p_j|^2}{2\sigma_\alpha^2}
        -\frac{|I_i-I_j|^2}{2\sigma_\beta^2}\right)
        + w_2 \exp\left(-\frac{|p_i-p_j|^2}{2\sigma_\gamma^2}\right),

    each kernel normalised symmetrically: pydensecrf's default, which the older code inside
    DeepLab's Caffe does not share. Filtering is on the permutohedral lattice, an approximation.

    References:
        * Krähenbühl, Koltun: Efficient Inference in Fully Connected CRFs with Gaussian Edge
          Potentials, NeurIPS 2011.
        * Chen et al.: DeepLab, PAMI 2017, section 3.3: the energy and its symbols.

    Args:
        iterations: Mean field steps; 0 gives back the probabilities (clipped at 1e-5).
        pos_w: :math:`w_2`.
        pos_xy_std: :math:`\sigma_\gamma` in pixels.
        bi_w: :math:`w_1`.
        bi_xy_std: :math:`\sigma_\alpha` in pixels.
        bi_rgb_std: :math:`\sigma_\beta` in grey levels, 0 to 255.

    Raises:
        ValueError: On negative iterations or weights, or widths that are not positive.

    Example:
        >>> image = np.full((2, 2, 3), 128, np.uint8)
        >>> p = np.stack([np.full((2, 2), 0.75, np.float32), np.full((2, 2), 0.25, np.float32)])
        >>> DenseCRF()(image, p).argmax(0)
        array([[0, 0],
               [0, 0]])
    """

    iterations: int = 10
    pos_w: float = 3
    pos_xy_std: float = 1
    bi_w: float = 4
    bi_xy_std: float = 67
    bi_rgb_std: float = 3

    def __post_init__(self) -> None:
        """Check the options."""
        if type(self.iterations) is not int or self.iterations < 0:
            raise ValueError(f"iterations must be an integer from 0 on, got {self.iterations!r}")
        for field in fields(self)[1:]:
            value = getattr(self, field.name)
            if not (math.isfinite(value) and (value > 0 or (value == 0 and "_w" in field.name))):
                least = "at least 0" if "_w" in field.name else "positive"
                raise ValueError(f"{field.name} must be {least} and finite, got {value!r}")

    @classmethod
    def preset(cls, name: str, iterations: int = 10) -> "DenseCRF":
        """The CRF that was published for a network, a name of :data:`PRESETS`.

        Raises:
            ValueError: On an unknown name.
        """
        if name not in PRESETS:
            raise ValueError(f"preset must be one of {', '.join(PRESETS)}, got {name!r}")
        chosen = PRESETS[name]
        return cls(
            iterations=iterations,
            pos_w=chosen.pos_w,
            pos_xy_std=chosen.pos_xy_std,
            bi_w=chosen.bi_w,
            bi_xy_std=chosen.bi_xy_std,
            bi_rgb_std=chosen.bi_rgb_std,
        )

    def _check_lattice(self, side: int) -> None:
        """Refuse kernels too narrow for the image; the factors are the lattice's (2 and 5 axes)."""
        spatial = 2.8 * side / self.pos_xy_std
        bilateral = 5.5 * side / self.bi_xy_std + 4.5 * 255 / self.bi_rgb_std
        if max(spatial, bilateral) >= LATTICE_LIMIT:
            raise ValueError(
                f"expected wider kernels for an image of {side} pixels, found pos_xy_std="
                f"{self.pos_xy_std}, bi_xy_std={self.bi_xy_std}, bi_rgb_std={self.bi_rgb_std}: use "
                "about 1 or more"
            )

    def __call__(self, image: object, probabilities: object) -> NDArray[np.float32]:
        """Refine one image.

        Args:
            image: uint8 ``(H, W, 3)`` as decoded, numpy or torch. Grey ``(H, W)`` or
                ``(H, W, 1)`` is repeated, the alpha of ``(H, W, 4)`` dropped, uint16 cut to the
                upper 8 bits.
            probabilities: ``(C, H, W)`` floating, numpy or torch: the softmax of the logits,
                which were upsampled to the image's size.

        Returns:
            Marginals ``(C, H, W)`` float32 that add up to 1 in each pixel.

        Raises:
            ValueError: On inputs of another kind, size or range, or if a kernel is so narrow
                beside the image that the library would overflow.
        """
        pixels = rgb_image(image)
        height, width, _ = pixels.shape
        maps = class_probabilities(probabilities, (height, width))
        self._check_lattice(max(height, width))
        crf = DenseCRF2D(width, height, len(maps))
        crf.setUnaryEnergy(unary_energy(maps))
        crf.addPairwiseGaussian(sxy=self.pos_xy_std, compat=self.pos_w)
        crf.addPairwiseBilateral(
            sxy=self.bi_xy_std, srgb=self.bi_rgb_std, rgbim=pixels, compat=self.bi_w
        )
        marginals = np.array(crf.inference(self.iterations), np.float32, order="C")
        return marginals.reshape(maps.shape)
