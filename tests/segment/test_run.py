"""``reproduce segment`` as a user calls it."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from reproduce.cli import main
from reproduce.data.labels import voc_palette
from reproduce.postprocess import DenseCRF
from reproduce.segment import load_network
from reproduce.segment.drawing import with_legend
from reproduce.segment.level_map import LINE, level_map
from reproduce.segment.overlay import overlay
from reproduce.segment.tiles import probabilities
from tests.segment.conftest import NAMES, make_evaluation

RNG = np.random.default_rng(5)


def noise(height: int, width: int) -> np.ndarray:
    return RNG.integers(0, 256, (height, width, 3), dtype=np.uint8)


def segment(run: Path, *words: object) -> int:
    return main(["segment", "--checkpoint", str(run), *map(str, words)])


@pytest.fixture
def pics(tmp_path: Path) -> Path:
    """Odd formats in a tree."""
    pics = tmp_path / "pics"
    (pics / "sub").mkdir(parents=True)
    image = Image.fromarray(noise(70, 90))
    image.save(pics / "rgb.png")
    image.save(pics / "rgb.jpg")
    image.convert("L").save(pics / "grey.png")
    image.convert("RGBA").save(pics / "rgba.png")
    image.convert("P").save(pics / "palette.png")
    image.convert("CMYK").save(pics / "cmyk.jpg")
    exif = Image.Exif()
    exif[0x0112] = 6
    image.save(pics / "sub/rotated.jpg", exif=exif)
    Image.fromarray(noise(70, 90)[..., 0].astype(np.uint16) << 8).save(pics / "sub/wide.png")
    Image.new("RGB", (1, 1)).save(pics / "sub/one.png")
    Image.fromarray(noise(180, 150)).save(pics / "sub/large.png")
    return pics


def test_odd_pictures(run: Path, pics: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = run.parent.parent / "out"
    assert segment(run, pics, "--out", out, "--level-set", "Ring", "--tile", 96) == 0
    shown = capsys.readouterr()
    assert shown.out == f"10 of 10 pictures are in {out}\n"
    assert shown.err == ""
    stems = {str(p.relative_to(out))[: -len("_overlay.jpg")] for p in out.rglob("*_overlay.jpg")}
    expected = {"rgb_png", "rgb_jpg", "grey", "rgba", "palette", "cmyk"}
    assert stems == expected | {f"sub/{n}" for n in ("rotated", "wide", "one", "large")}
    assert len([p for p in out.rglob("*") if p.is_file()]) == 30
    for stem in stems:
        assert Image.open(out / f"{stem}.png").mode == "P"
        assert Image.open(out / f"{stem}_level_set.png").width >= 400
    assert Image.open(out / "sub/rotated.png").size == (70, 90)
    assert Image.open(out / "sub/one.png").size == (1, 1)


def test_palette_round_trip(run: Path, pics: Path, tmp_path: Path) -> None:
    assert segment(run, pics / "rgb.png", "--out", tmp_path / "out") == 0
    image = Image.open(tmp_path / "out" / "rgb.png")
    assert image.mode == "P"
    assert image.getpalette() == voc_palette()
    pixels = torch.from_numpy(np.array(Image.open(pics / "rgb.png"))).permute(2, 0, 1)[None]
    assert np.array_equal(np.asarray(image), load_network(run).segment(pixels)[0].numpy())


def test_a_damaged_picture_stops_no_other(
    run: Path, pics: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pics = pics / "sub"
    (pics / "broken.jpg").write_bytes((pics / "rotated.jpg").read_bytes()[:400])
    out = pics.parent / "out"
    before = {p: p.read_bytes() for p in pics.rglob("*.*")}
    for words in ([], ["--crf"]):
        assert segment(run, pics, "--out", out, *words) == 1
        shown = capsys.readouterr()
        (line,) = shown.err.strip().splitlines()
        assert line.startswith(f"reproduce: {pics}/broken.jpg cannot be decoded (")
        assert shown.out == f"4 of 5 pictures are in {out}\n"
        assert not list(out.rglob("broken*"))
    assert {p: p.read_bytes() for p in pics.rglob("*.*")} == before


@pytest.mark.parametrize("own", [False, True])
def test_crf_is_the_one_of_the_run(run: Path, pics: Path, tmp_path: Path, own: bool) -> None:
    crf = DenseCRF.preset("deeplab_resnet101")
    if own:
        crf = DenseCRF(iterations=2, bi_w=9, bi_xy_std=20, bi_rgb_std=40)
        options = {"iterations": 2, "bi_w": 9, "bi_xy_std": 20, "bi_rgb_std": 40}
        make_evaluation(run, "e0", options)
    pixels = np.array(Image.open(pics / "rgb.png"))
    maps = probabilities(load_network(run), pixels)
    refined = crf(pixels, maps).argmax(0)
    assert (refined != maps.argmax(0)).any()
    assert segment(run, pics / "rgb.png", "--out", tmp_path / "out", "--crf") == 0
    assert np.array_equal(np.asarray(Image.open(tmp_path / "out/rgb.png")), refined)


def test_crf_in_tiles(run: Path, pics: Path, tmp_path: Path) -> None:
    words = ("--crf", "--tile", 96, "--level-set", 2)
    assert segment(run, pics / "sub/large.png", "--out", tmp_path / "out", *words) == 0
    assert Image.open(tmp_path / "out/large.png").size == (150, 180)


def test_a_picture_the_crf_refuses(
    run: Path, pics: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_evaluation(run, "e0", {"bi_rgb_std": 0.01})
    assert segment(run, pics / "rgb.png", "--out", pics.parent / "out", "--crf") == 1
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert "rgb.png: ValueError: expected wider kernels" in line


@pytest.mark.parametrize(
    ("words", "pattern"),
    [
        (["--level-set", "unicorn"], "unknown class 'unicorn': expected one of background, disk"),
        (["--level-set", "7"], "unknown class '7'"),
        (["--tile", "10"], "expected --tile of at least 64 pixels, got 10"),
    ],
)
def test_mistakes(
    run: Path, pics: Path, words: list[str], pattern: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert segment(run, pics, "--out", pics.parent / "out", *words) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert line.startswith(f"reproduce: {pattern}")
    assert not (pics.parent / "out").exists()


def test_overlay_leaves_background_and_tints_classes() -> None:
    pixels = np.full((600, 500, 3), 100, np.uint8)
    labels = np.zeros((600, 500), np.uint8)
    labels[200:400, 200:400] = 1
    image = np.asarray(overlay(pixels, labels, NAMES, voc_palette()))
    assert image[:600, :500].shape == (600, 500, 3)
    assert (image[50, 50] == 100).all()
    assert image[300, 300].tolist() == [50 + 64, 50, 50]
    assert image.shape[0] > 600
    assert (image[600:] == (128, 0, 0)).all(-1).any()  # the class is in the legend
    assert not (image[600:] == (0, 128, 0)).all(-1).any()


def test_level_map_has_its_line_where_phi_is_zero() -> None:
    phi = np.tile(np.linspace(-0.5, 0.5, 600, dtype=np.float16), (500, 1))
    image = np.asarray(level_map(np.full((500, 600, 3), 255, np.uint8), phi, "disk"))
    line = (image[250, :600] == LINE).all(-1)
    assert 298 <= np.flatnonzero(line).min() <= np.flatnonzero(line).max() <= 302
    assert image[250, 0].tolist() == [33, 102, 172]
    assert image[250, 599].tolist() == [178, 24, 43]


def test_legend_of_many_classes_on_a_narrow_picture() -> None:
    from reproduce.segment.drawing import Entry

    entries = [Entry(f"a class with a long name {i}", ((i, 0, 0),)) for i in range(30)]
    image = with_legend(np.zeros((480, 2, 3), np.uint8), entries)
    assert image.width > 150
    assert image.height > 480 + 30 * 12


def test_real_images(run: Path, shared_data: Path, tmp_path: Path) -> None:
    images = sorted((shared_data / "VOCdevkit/VOC2012/JPEGImages").glob("*.jpg"))[:20]
    (tmp_path / "voc").mkdir()
    for path in images:
        shutil.copy(path, tmp_path / "voc")
    assert segment(run, tmp_path / "voc", "--out", tmp_path / "out") == 0
    assert len(list((tmp_path / "out").iterdir())) == 40
    for path in images:
        with Image.open(path) as image, Image.open(tmp_path / "out" / f"{path.stem}.png") as mask:
            assert image.size == mask.size
