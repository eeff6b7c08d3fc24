"""Counts of single images put together, and counts as JSON."""

import base64
import copy
import json
import pickle
import subprocess
import sys
import zlib
from typing import Any

import numpy as np
import pytest

from reproduce.metrics.by_image import CountsByImage, image_counts
from reproduce.metrics.counts import Counts
from reproduce.metrics.encoding import LIMIT, decode_counts, encode_counts
from tests.metrics import slow

CLASSES = 4


def counts_of(order: tuple[int, ...] = (0, 1, 2)) -> dict[str, Counts]:
    counts = CountsByImage(CLASSES)
    for seed in order:
        counts.add_counts(pickle.loads(pickle.dumps(image_counts(*slow.scene(seed), CLASSES))))  # noqa: S301
    return counts.arrays()


def equal(ours: dict[str, Counts], theirs: dict[str, Counts]) -> None:
    assert ours.keys() == theirs.keys()
    for name, array in ours.items():
        assert array.dtype == theirs[name].dtype
        assert np.array_equal(array, theirs[name])


def test_images_counted_elsewhere_are_as_those_added_here() -> None:
    counts = CountsByImage(CLASSES)
    for seed in range(3):
        counts.add(*slow.scene(seed))
    equal(counts.arrays(), counts_of())


def test_order_changes_the_order_alone() -> None:
    ours, theirs = counts_of(), counts_of((2, 0, 1))
    assert np.array_equal(ours.pop("size_edges"), theirs.pop("size_edges"))
    equal({name: array[[2, 0, 1]] for name, array in ours.items()}, theirs)


def test_sizes_of_objects_are_those_of_the_truth() -> None:
    counts = CountsByImage(CLASSES)
    for seed in range(3):
        _, truth = slow.scene(seed)
        counts.add_counts(image_counts(np.zeros_like(truth), truth, CLASSES))
    assert np.array_equal(counts.arrays()["size_edges"], counts_of()["size_edges"])


def test_counts_of_other_classes_are_refused() -> None:
    with pytest.raises(ValueError, match="counts of 5 classes, got 4"):
        CountsByImage(5).add_counts(image_counts(*slow.scene(0), CLASSES))


def test_workers_need_no_torch() -> None:
    code = "import sys, reproduce.metrics.by_image, reproduce.metrics.encoding as e; "
    code += "sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
    with pytest.raises(ImportError, match="nothing"):
        from reproduce.metrics import nothing  # noqa: F401


def test_round_trip() -> None:
    counts = counts_of()
    value = encode_counts(counts)
    equal(decode_counts(json.loads(json.dumps(value))), counts)
    assert encode_counts(dict(reversed(counts.items()))) == value == encode_counts(counts_of())


@pytest.mark.parametrize(("top", "name"), [(255, "uint8"), (256, "uint16"), (2**32 - 1, "uint32")])
def test_counts_take_the_smallest_type(top: int, name: str) -> None:
    counts = counts_of()
    counts["trimap"][0, 0, 0, 0] = top
    value = encode_counts(counts)
    assert value["trimap"]["dtype"] == name
    equal(decode_counts(value), counts)


@pytest.mark.parametrize("wrong", [-1, 2**32])
def test_no_count_is_cut_off(wrong: int) -> None:
    counts = counts_of()
    counts["trimap"][0, 0, 0, 0] = wrong
    with pytest.raises(ValueError, match=r"expected counts in 0 to 2\^32 - 1, got"):
        encode_counts(counts)


def text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def change(name: str, **entries: Any) -> Any:
    return lambda v: v[name].update(entries)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda v: v.pop("sizes"), "expected counts trimap, .* found boundary_f"),
        (lambda v: v["sizes"].pop("shape"), "sizes: expected shape, dtype and zlib"),
        (change("trimap", dtype="object"), "trimap: expected a shape above 0 and a dtype of"),
        (change("trimap", dtype=["uint8"]), "trimap: expected a shape above 0 and a dtype of"),
        (change("trimap", shape=[-1, 7, 4, 2]), "trimap: expected a shape above 0"),
        (change("trimap", shape=[True]), "trimap: expected a shape above 0"),
        (change("trimap", shape="3"), "trimap: expected a shape above 0"),
        (change("trimap", shape=[LIMIT, 7, 4, 2]), "trimap: shape .* is larger than"),
        (change("trimap", shape=[4, 7, 4, 2]), "trimap: damaged .not the 224 bytes"),
        (change("trimap", zlib="é"), "trimap: damaged"),
        (change("trimap", zlib="!!!!"), "trimap: damaged"),
        (change("trimap", zlib=None), "trimap: damaged"),
        (change("trimap", zlib=text(b"no")), "trimap: damaged"),
        (change("trimap", zlib=text(zlib.compress(bytes(10**6)))), "trimap: damaged .not"),
        (
            lambda v: v["trimap"].update(zlib=text(base64.b64decode(v["trimap"]["zlib"])[:-6])),
            "trimap: damaged .not",
        ),
        (
            lambda v: v["trimap"].update(
                zlib=text(base64.b64decode(v["trimap"]["zlib"]) + b"more")
            ),
            "trimap: damaged .not",
        ),
        (
            change("size_edges", zlib=text(zlib.compress(b"\xff" * 16))),
            "size_edges: expected finite numbers",
        ),
        (change("boundary_iou", shape=[4, 3, 2]), "boundary_iou: expected shape"),
        (change("boundary_iou", shape=[24]), "boundary_iou: expected shape"),
    ],
)
def test_damage_is_refused_in_one_line(damage: Any, message: str) -> None:
    value = copy.deepcopy(encode_counts(counts_of()))
    damage(value)
    with pytest.raises(ValueError, match=message) as error:
        decode_counts(value)
    assert "\n" not in str(error.value)


def test_a_changed_byte_is_noticed() -> None:
    value = encode_counts(counts_of())
    packed = bytearray(base64.b64decode(value["sizes"]["zlib"]))
    packed[len(packed) // 2] ^= 4
    value["sizes"]["zlib"] = text(bytes(packed))
    with pytest.raises(ValueError, match="sizes: damaged"):
        decode_counts(value)
    with pytest.raises(ValueError, match="found NoneType"):
        decode_counts(None)
