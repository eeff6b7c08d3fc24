"""Every kind of picture comes out as upright RGB, or is refused in one line."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from reproduce.errors import UserError
from reproduce.segment import pictures
from reproduce.segment.pictures import read_picture

RNG = np.random.default_rng(0)
RGB = RNG.integers(0, 256, (12, 20, 3), dtype=np.uint8)
GREY = RGB[..., 0]
WIDE = (GREY.astype(np.uint16) << 8) + 7


def written(path: Path, image: Image.Image, **options: Any) -> np.ndarray:
    image.save(path, **options)
    pixels = read_picture(path)
    assert pixels.dtype == np.uint8
    assert pixels.flags.writeable
    return pixels


def test_exact_formats(tmp_path: Path) -> None:
    image = Image.fromarray(RGB)
    for name in ("a.png", "a.bmp", "a.tif", "a.ppm"):
        assert np.array_equal(written(tmp_path / name, image), RGB)
    repeated = np.repeat(GREY[..., None], 3, 2)
    assert np.array_equal(written(tmp_path / "grey.png", Image.fromarray(GREY)), repeated)


def test_jpeg_and_cmyk(tmp_path: Path) -> None:
    flat = Image.new("RGB", (20, 12), (200, 40, 90))
    assert np.abs(written(tmp_path / "a.jpg", flat, quality=95).astype(int) - flat).max() < 4
    found = written(tmp_path / "cmyk.jpg", flat.convert("CMYK"), quality=95)
    assert np.abs(found.astype(int) - np.asarray(flat)).max() < 8


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_sixteen_bits_are_cut(name: str, tmp_path: Path) -> None:
    found = written(tmp_path / name, Image.fromarray(WIDE))
    assert np.array_equal(found, np.repeat(GREY[..., None], 3, 2))


def test_palette_and_transparency(tmp_path: Path) -> None:
    image = Image.fromarray(GREY // 64)
    image.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255, 9, 9, 9])
    colours = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255], [9, 9, 9]], np.uint8)
    assert np.array_equal(written(tmp_path / "p.png", image), colours[GREY // 64])
    colours[1] = 255
    found = written(tmp_path / "transparent.png", image, transparency=1)
    assert np.array_equal(found, colours[GREY // 64])


def test_alpha_lies_on_white(tmp_path: Path) -> None:
    alpha = np.zeros((12, 20, 1), np.uint8)
    alpha[:6] = 255
    found = written(tmp_path / "a.png", Image.fromarray(np.concatenate([RGB, alpha], 2)))
    assert np.array_equal(found[:6], RGB[:6])
    assert (found[6:] == 255).all()
    la = Image.fromarray(np.concatenate([GREY[..., None], alpha], 2))
    assert (written(tmp_path / "la.png", la)[6:] == 255).all()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation(orientation: int, tmp_path: Path) -> None:
    """Every orientation comes back as the same upright picture."""
    to_stored = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    image = Image.fromarray(RGB)
    if orientation > 1:
        image = image.transpose(to_stored[orientation])
    exif = Image.Exif()
    exif[0x0112] = orientation
    assert np.array_equal(written(tmp_path / "a.png", image, exif=exif), RGB)


def test_one_pixel(tmp_path: Path) -> None:
    for mode in ("1", "L", "RGB", "RGBA", "I;16", "P", "CMYK"):
        path = tmp_path / f"{mode.replace(';', '')}.tif"
        assert written(path, Image.new(mode, (1, 1))).shape == (1, 1, 3)


def test_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.png"
    Image.fromarray(RGB).save(path)
    path.write_bytes(path.read_bytes()[:200])
    (tmp_path / "b.jpg").write_text("no picture")
    Image.fromarray(GREY.astype(np.float32)).save(tmp_path / "c.tif")
    Image.fromarray(RGB).save(tmp_path / "large.png")
    monkeypatch.setattr(pictures, "LIMIT", 200)
    for name in ("a.png", "b.jpg", "c.tif", "large.png", "missing.png"):
        with pytest.raises(
            UserError, match=rf"{name} cannot be decoded \(.+\): expected"
        ) as caught:
            read_picture(tmp_path / name)
        assert "\n" not in str(caught.value)


def test_pillows_limit_is_restored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A large picture of the user is no attack, and the process keeps its protection."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 50)
    assert written(tmp_path / "a.png", Image.fromarray(RGB)).shape == (12, 20, 3)
    assert Image.MAX_IMAGE_PIXELS == 50
