"""What is accepted as it comes, and what is refused with a word on how to mend it."""

import numpy as np
import pytest
import torch

from reproduce.postprocess import DenseCRF
from tests.postprocess.scenes import scene

CRF = DenseCRF(iterations=2)


def test_layouts_and_kinds_of_arrays() -> None:
    image, p = scene()
    expected = CRF(image, p)
    strided = np.repeat(image, 2, 1)[:, ::2], np.asfortranarray(p)
    frozen = image.copy(), p.copy()
    for array in frozen:
        array.flags.writeable = False
    tensors = torch.from_numpy(image), torch.from_numpy(p).requires_grad_()
    for given in (strided, frozen, tensors, (image, p.astype(np.float64))):
        answer = CRF(*given)
        assert isinstance(answer, np.ndarray)
        assert np.array_equal(answer, expected)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_passes_the_check_of_sums(dtype: torch.dtype) -> None:
    image, _ = scene()
    p = torch.randn(60, 32, 28, generator=torch.Generator().manual_seed(0)).softmax(0)
    half = p.to(dtype)
    assert np.array_equal(CRF(image, half), CRF(image, half.float()))


def test_grey_alpha_and_16_bits() -> None:
    image, p = scene()
    grey = np.ascontiguousarray(image[..., 0])
    expected = CRF(np.stack([grey] * 3, 2), p)
    assert np.array_equal(CRF(grey, p), expected)
    assert np.array_equal(CRF(grey[..., None], p), expected)
    alpha = np.random.default_rng(0).integers(0, 256, (32, 28, 1), dtype=np.uint8)
    assert np.array_equal(CRF(np.concatenate([image, alpha], 2), p), CRF(image, p))
    deep = image.astype(np.uint16) * 256 + 255
    assert np.array_equal(CRF(deep, p), CRF(image, p))


IMAGE, P = scene()


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (IMAGE / 255, "uint8 from 0 to 255, found float64.*before normalisation"),
        (IMAGE.astype(np.int64), "found int64"),
        (IMAGE[..., 0] > 3, "found bool"),
        (IMAGE.transpose(2, 0, 1), r"found \(3, 32, 28\): put the channels last"),
        (IMAGE[..., :2], r"found \(32, 28, 2\)"),
        (IMAGE[None], r"found \(1, 32, 28, 3\)"),
        (IMAGE[:0], r"found \(0, 28, 3\)"),
    ],
)
def test_wrong_images_are_refused(image: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        CRF(image, P)
    assert "\n" not in str(caught.value)


def spoilt(value: float) -> np.ndarray:
    p = P.copy()
    p[0, 3, 4] = value
    return p


@pytest.mark.parametrize(
    ("p", "message"),
    [
        (spoilt(np.nan), "found NaN"),
        (spoilt(np.inf), "sums up to inf off"),
        (spoilt(-0.001), "minimum -0.001"),
        (P * np.float32(1.02), "add up to 1 within 0.01.*sums up to 0.02 off: take the softmax"),
        (np.log(P), "take the softmax of the logits"),
        (P[:, ::2, ::2], r"size \(32, 28\), found \(16, 14\): upsample the logits"),
        (P[None], r"found \(1, 3, 32, 28\) of float32: .*without the batch"),
        (P[:0], r"found \(0, 32, 28\)"),
        (P.argmax(0), r"found \(32, 28\) of int64"),
        ((P > 0.5).astype(np.uint8), "of uint8"),
    ],
)
def test_wrong_probabilities_are_refused(p: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        CRF(IMAGE, p)
    assert "\n" not in str(caught.value)


def test_maps_beyond_32_bit_counters_are_refused() -> None:
    """No memory is taken: one number that looks like many."""
    image = np.broadcast_to(np.uint8(0), (2**13, 2**13, 3))
    p = np.broadcast_to(np.float32(1 / 16), (16, 2**13, 2**13))
    with pytest.raises(ValueError, match="less than 2\\*\\*30 probabilities, found 1073741824"):
        CRF(image, p)
