"""Sheets: both files show the same."""

from xml.etree import ElementTree as ET

import numpy as np

from reproduce.figures.sheet import MARGIN, Sheet, labelled, photo, text_width

SPACE = "{http://www.w3.org/2000/svg}"


def sheet() -> Sheet:
    made = Sheet(200)
    made.words(0, 12, "a < b & c")
    made.picture(10, 20, (60, 40), labelled(np.array([[1, 1]], np.uint8), [0, 0, 0, 200, 10, 20]))
    made.height = 100
    return made


def test_svg_says_and_shows_it() -> None:
    root = ET.fromstring(sheet().svg())  # noqa: S314 - made here
    assert root.get("width") == str(200 + 2 * MARGIN)
    (words,) = root.findall(f"{SPACE}text")
    assert words.text == "a < b & c"
    (image,) = root.findall(f"{SPACE}image")
    assert [image.get(key) for key in ("x", "y", "width", "height")] == ["10", "20", "40", "60"]
    assert str(image.get("href")).startswith("data:image/png;base64,")
    assert sheet().svg() == sheet().svg()


def test_png_has_the_pixels_at_the_same_place() -> None:
    pixels = np.asarray(sheet().png().convert("RGB"))
    assert pixels.shape == (100 + 2 * MARGIN, 200 + 2 * MARGIN, 3)
    inside = pixels[MARGIN + 20 : MARGIN + 80, MARGIN + 10 : MARGIN + 50]
    assert (inside == (200, 10, 20)).all()
    assert (pixels[MARGIN + 80 :] == 255).all()
    assert (pixels[: MARGIN + 15] < 128).any()  # the words


def test_lines_break_where_they_must() -> None:
    made = Sheet(120)
    one = made.legend(0, [("one", [(0, 0, 0)])])
    many = made.legend(0, [("a long name", [(0, 0, 0)]), ("another one", [(9, 9, 9)] * 3)])
    assert many > one
    end = made.paragraph(0, "words that take more than the width of the sheet")
    assert end > made.paragraph(0, "short")
    root = ET.fromstring(made.svg())  # noqa: S314 - made here
    sizes = {int(t.get("font-size") or 0) for t in root.findall(f"{SPACE}text")}
    assert sizes == {11, 12}
    assert all(
        text_width(str(t.text), 11) <= 120
        for t in root.findall(f"{SPACE}text")
        if t.get("font-size") == "11"
    )


def test_pictures_have_few_colours() -> None:
    rng = np.random.default_rng(0)
    image = photo(rng.integers(0, 256, (40, 50, 3), np.uint8))
    assert image.mode == "P"
    labels = rng.integers(0, 3, (8, 9)).astype(np.uint8)
    palette = rng.integers(0, 256, 768).tolist()
    shown = np.asarray(labelled(labels, palette).convert("RGB"))
    assert (shown == np.reshape(palette, (-1, 3))[labels]).all()
