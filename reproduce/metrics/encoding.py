"""Counts by image as part of a JSON record: a few kilobytes of text, exact, the same every time."""

import base64
import binascii
import math
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from reproduce.metrics.counts import Counts

#: Axes of the arrays of :meth:`reproduce.metrics.by_image.CountsByImage.arrays`.
AXES: Mapping[str, tuple[str | int, ...]] = {
    "trimap": ("N", "W", "C", 2),
    "boundary_f": ("N", "C", 4),
    "boundary_iou": ("N", "C", 2),
    "sizes": ("N", 3, 5),
    "size_edges": (2,),
}
#: Types on file, little-endian; whole numbers take the first that holds them.
DTYPES: Mapping[str, np.dtype[Any]] = {
    "uint8": np.dtype("u1"),
    "uint16": np.dtype("<u2"),
    "uint32": np.dtype("<u4"),
    "float64": np.dtype("<f8"),
}
#: No array is larger than this, in bytes: 10,000 images of 60 classes are 34 MB.
LIMIT = 2**28


def _pack(array: Counts) -> dict[str, Any]:
    """An array as text: images innermost, bytes by significance (like beside like), then zlib."""
    name = "float64"
    if array.dtype.kind != "f":
        low, high = int(array.min(initial=0)), int(array.max(initial=0))
        if low < 0 or high >= 2**32:
            raise ValueError(f"expected counts in 0 to 2^32 - 1, got {low} to {high}")
        name = np.min_scalar_type(high).name
    dtype = DTYPES[name]
    planes = np.ascontiguousarray(array.T, dtype).reshape(-1, 1).view(np.uint8).T
    packed = base64.b64encode(zlib.compress(planes.tobytes(), 9)).decode("ascii")
    return {"shape": list(array.shape), "dtype": name, "zlib": packed}


def encode_counts(arrays: Mapping[str, Counts]) -> dict[str, Any]:
    """Counts as JSON.

    Args:
        arrays: Of :meth:`reproduce.metrics.by_image.CountsByImage.arrays`.

    Returns:
        By name ``shape``, ``dtype`` and ``zlib``, text; equal arrays give equal texts.

    Raises:
        ValueError: If a count is negative or above 2^32 - 1.
    """
    return {name: _pack(arrays[name]) for name in sorted(arrays)}


def _unpack(name: str, value: Any) -> Counts:  # noqa: ANN401 - any JSON
    """An array from :func:`_pack`'s text."""
    keys = {"shape", "dtype", "zlib"}
    if not isinstance(value, Mapping) or value.keys() != keys:
        raise ValueError(f"{name}: expected shape, dtype and zlib")
    shape, dtype = value["shape"], DTYPES.get(str(value["dtype"]))
    whole = isinstance(shape, list) and all(type(n) is int and n > 0 for n in shape)
    if dtype is None or not whole:
        raise ValueError(f"{name}: expected a shape above 0 and a dtype of {', '.join(DTYPES)}")
    size = math.prod(shape) * dtype.itemsize
    if size > LIMIT:
        raise ValueError(f"{name}: shape {shape} is larger than {LIMIT} bytes")
    unpacker = zlib.decompressobj()
    try:
        packed = base64.b64decode(value["zlib"], validate=True)
        data = unpacker.decompress(packed, size + 1)
    except (binascii.Error, zlib.error, TypeError, ValueError) as error:
        raise ValueError(f"{name}: damaged ({error})") from None
    if len(data) != size or not unpacker.eof or unpacker.unused_data:
        raise ValueError(f"{name}: damaged (not the {size} bytes that its shape takes)")
    planes = np.frombuffer(data, np.uint8).reshape(dtype.itemsize, -1)
    array = np.ascontiguousarray(planes.T).reshape(-1).view(dtype).reshape(shape[::-1]).T
    if dtype.kind != "f":
        return np.ascontiguousarray(array, np.int64)
    if not np.isfinite(array).all():
        raise ValueError(f"{name}: expected finite numbers")
    return np.ascontiguousarray(array, np.float64)


def decode_counts(value: Any) -> dict[str, Counts]:  # noqa: ANN401 - any JSON
    """Counts from :func:`encode_counts`' JSON, checked.

    Args:
        value: What a record holds.

    Returns:
        int64 or float64 arrays as :meth:`reproduce.metrics.by_image.CountsByImage.arrays` gives
        them.

    Raises:
        ValueError: If an array is missing, damaged or of another shape than the others; one line.
    """
    if not isinstance(value, Mapping) or value.keys() != AXES.keys():
        found = ", ".join(map(str, value)) if isinstance(value, Mapping) else type(value).__name__
        raise ValueError(f"expected counts {', '.join(AXES)}, found {found[:200]}")
    arrays = {name: _unpack(name, value[name]) for name in AXES}
    sizes: dict[str, int] = {}
    for name, axes in AXES.items():
        shape = arrays[name].shape
        wanted = [
            sizes.setdefault(a, n) if isinstance(a, str) else a
            for a, n in zip(axes, shape, strict=False)
        ]
        if list(shape) != wanted or len(shape) != len(axes):
            raise ValueError(f"{name}: expected shape {axes} as in the others, found {shape}")
    return arrays
