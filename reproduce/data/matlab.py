"""Label maps in MATLAB files: SBD's ``GTcls`` and PASCAL-Context's ``LabelMap``."""

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reproduce.errors import UserError

#: What scipy raises at damaged files and at files with other contents.
DAMAGE = (
    *(OSError, ValueError, TypeError, LookupError, AttributeError, EOFError, struct.error),
    *(NotImplementedError, OverflowError, MemoryError, zlib.error),
)


def _content(path: Path) -> NDArray[Any]:
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError

    try:
        found = loadmat(path, struct_as_record=True)
        if "GTcls" in found:
            return np.asarray(found["GTcls"][0, 0]["Segmentation"])
        return np.asarray(found["LabelMap"])
    except (*DAMAGE, MatReadError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UserError(
            f"{path} cannot be decoded ({reason}): expected GTcls or LabelMap in a MATLAB 5 file, "
            "fetch that file again"
        ) from None


def read_label_map(path: Path) -> NDArray[np.uint8] | NDArray[np.uint16]:
    """Labels ``(H, W)`` of a MATLAB file, as the file numbers them.

    Raises:
        UserError: If the file cannot be decoded, truncated files included, or holds no map of
            whole numbers from 0 to 65,535.
    """
    labels = _content(path)
    if labels.ndim != 2 or not labels.size or labels.dtype.kind not in "uif":
        raise UserError(
            f"{path}: expected labels (H, W), found shape {labels.shape} of {labels.dtype}: fetch "
            "that file again"
        )
    if labels.dtype == np.uint8:
        return labels
    with np.errstate(invalid="ignore"):
        whole = labels.astype(np.uint16)
    if not np.array_equal(whole, labels):
        raise UserError(
            f"{path}: expected whole numbers from 0 to 65535 as labels: fetch that file again"
        )
    return whole


def write_label_map(path: Path, labels: NDArray[np.uint16]) -> None:
    """Write labels ``(H, W)`` as PASCAL-Context does; equal labels give equal bytes everywhere.

    Raises:
        OSError: If the file cannot be written.
    """
    from scipy.io import savemat

    buffer = io.BytesIO()
    savemat(buffer, {"LabelMap": labels.astype("<u2")})
    # The first 116 bytes are free text, into which scipy writes the time.
    path.write_bytes(b"MATLAB 5.0 MAT-file".ljust(116) + buffer.getvalue()[116:])
