"""The generated sets: whole or not at all, equal everywhere, learnable contents."""

from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

from reproduce.data import ClutterDataModule, StreetsDataModule, clutter, street_scene, streets
from reproduce.data.catalog import DataSet, data_set
from reproduce.data.labels import CITYSCAPES, CLUTTER
from reproduce.data.manifest import data_manifest
from reproduce.data.matlab import read_label_map, write_label_map
from reproduce.errors import UserError

SETS = {
    "clutter": (clutter, data_set("reproduce.data.ClutterDataModule")),
    "streets": (streets, data_set("reproduce.data.StreetsDataModule")),
}
FOLDERS = {"clutter": "VOCdevkit", "streets": "cityscapes"}

#: Hash of all labels of each set; a new one needs a new VERSION.
MASKS_SHA256 = {
    "clutter": "2a575bde4c970c242f89665f9a06b77d6cba62bcf43e780609e31ebeb88583ed",
    "streets": "d1c251e81754b8559f7d4ffe8cd9db03230a4fe39d6e8f4c26138b9201895ce8",
}


@pytest.fixture(params=sorted(SETS))
def name(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Name of a set, of which few pictures are made."""
    chosen: str = request.param
    monkeypatch.setattr(SETS[chosen][0], "COUNTS", {"train": 3, "val": 2})
    return chosen


def make(name: str, root: Path) -> DataSet:
    _, data = SETS[name]
    assert data.make is not None
    data.make(root)
    return data


def test_deterministic_and_whole(name: str, tmp_path: Path) -> None:
    data = make(name, tmp_path / "a")
    make(name, tmp_path / "b")
    first, second = (
        data_manifest(data, tmp_path / x, ("train", "val"), tmp_path / "cache") for x in "ab"
    )
    assert first == second
    assert {k: v["images"] for k, v in first["splits"].items()} == {"train": 3, "val": 2}
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a", "b", "cache"]
    assert sorted(p.name for p in (tmp_path / "a").iterdir()) == sorted(
        [FOLDERS[name], f"{name}.json"]
    )


def test_existing_data_is_left_alone(name: str, tmp_path: Path) -> None:
    data = make(name, tmp_path / "s")
    image = data.samples(tmp_path / "s", "train")[0].image
    before = image.stat().st_mtime_ns
    make(name, tmp_path / "s")
    assert image.stat().st_mtime_ns == before
    (tmp_path / "s" / f"{name}.json").unlink()  # a folder of one's own
    make(name, tmp_path / "s")
    assert not (tmp_path / "s" / f"{name}.json").exists()


def test_foreign_folder_is_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("precious")
    with pytest.raises(
        UserError, match=f"expected generated {name} or an empty .*leave DATA unset"
    ):
        make(name, tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.txt"]


def test_changed_labels_and_other_versions_are_refused(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = make(name, tmp_path / "s")
    with monkeypatch.context() as patch:
        patch.setattr(SETS[name][0], "VERSION", "0")
        with pytest.raises(UserError, match="was changed, or made by another version: remove it"):
            make(name, tmp_path / "s")
    path = data.samples(tmp_path / "s", "val")[1].mask
    if path.suffix == ".mat":
        write_label_map(path, np.zeros((96, 96), np.uint16))
    else:
        Image.fromarray(np.zeros((64, 128), np.uint8)).save(path)
    with pytest.raises(UserError, match="was changed, or made by another version: remove it"):
        make(name, tmp_path / "s")


def test_nothing_stays_of_a_failure(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(SETS[name][0], "draw", full)
    with pytest.raises(UserError, match=r"cannot be made \(No space left on device\): name ano"):
        make(name, tmp_path / "s")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", sorted(SETS))
def test_the_same_on_every_machine(name: str, tmp_path: Path) -> None:
    """The whole set's labels; a new hash needs a new VERSION."""
    module: ModuleType = SETS[name][0]
    make(name, tmp_path / "s")
    found = module.masks_sha256(tmp_path / "s" / FOLDERS[name])
    assert (module.VERSION, found) == ("1", MASKS_SHA256[name])


def test_files_are_what_was_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module, _ in SETS.values():
        monkeypatch.setattr(module, "COUNTS", {"train": 1, "val": 2})
    make("clutter", tmp_path / "c")
    make("streets", tmp_path / "s")
    sample = SETS["clutter"][1].samples(tmp_path / "c", "val")[1]
    image, labels = clutter.draw(np.random.default_rng([1, 1]))
    assert np.array_equal(read_label_map(sample.mask), labels)
    assert abs(np.asarray(Image.open(sample.image)).astype(int) - image).mean() < 14
    sample = SETS["streets"][1].samples(tmp_path / "s", "val")[1]
    image, ids = street_scene.draw(np.random.default_rng([1, 1]))
    assert np.array_equal(np.asarray(Image.open(sample.mask)), ids)
    assert np.array_equal(np.asarray(Image.open(sample.image)), image)


def test_modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for kind, size, classes in (
        (ClutterDataModule, (96, 96), 13),
        (StreetsDataModule, (64, 128), 19),
    ):
        monkeypatch.setattr(SETS[kind.data.name][0], "COUNTS", {"train": 2, "val": 2})
        data = kind(tmp_path / kind.data.name, batch_size=2, crop=64, val_batch_size=2)
        data.prepare_data()
        data.setup("fit")
        batch = next(iter(data.val_dataloader()))
        assert batch["image"].shape == (2, 3, *size)
        assert data.num_classes == classes
        assert (255 in batch["mask"]) == (kind is StreetsDataModule)
        assert next(iter(data.train_dataloader()))["image"].shape == (2, 3, 64, 64)


def shares(pictures: list[np.ndarray], count: int) -> np.ndarray:
    found = np.stack([np.bincount(p.ravel(), minlength=count) for p in pictures])
    return np.asarray(found / found.sum(1, keepdims=True))


def test_contents_of_clutter() -> None:
    """No class dominates or is missing; every pixel has one."""
    table = np.full(len(clutter.NUMBERS) + 1, -1)  # no pixel is unlabelled
    for name, number in clutter.NUMBERS.items():
        table[number] = CLUTTER.names.index(name) if name in CLUTTER.names else 0
    masks = [table[clutter.draw(np.random.default_rng([0, i]))[1]] for i in range(80)]
    assert min(int(m.min()) for m in masks) == 0
    mean = shares(masks, 13).mean(0)
    assert (mean > 0.005).all()
    assert mean.max() == mean[0] < 0.5


def test_contents_of_streets() -> None:
    """Every class in many pictures; thin poles, little void."""
    table = np.array([CITYSCAPES.ids.get(i, 19) for i in range(256)])
    table[table == 255] = 19
    raw = [street_scene.draw(np.random.default_rng([0, i]))[1] for i in range(120)]
    share = shares([table[m] for m in raw], 20)
    assert ((share > 0).mean(0) > 0.15).all()
    assert 0.02 < share[:, 19].mean() < 0.08
    assert share[:, 5][share[:, 5] > 0].min() < 0.005
    assert {1, 3, 4} <= {int(v) for m in raw for v in np.unique(m)}


@pytest.mark.parametrize("name", sorted(SETS))
def test_colour_alone_does_not_tell_the_classes(name: str) -> None:
    """The best class of each colour (16 levels a channel), tried on other pictures."""
    draw = clutter.draw if name == "clutter" else street_scene.draw
    votes = np.zeros((4096, 34), np.int64)
    confusion = np.zeros((34, 34), np.int64)
    for i in range(120):
        image, labels = draw(np.random.default_rng([0, i]))
        colours = (image // 16).astype(int) @ np.array([256, 16, 1])
        if i < 80:
            np.add.at(votes, (colours.ravel(), labels.ravel()), 1)
        else:
            np.add.at(confusion, (labels.ravel(), votes.argmax(1)[colours].ravel()), 1)
    truth, hits = confusion.sum(1), confusion.diagonal()
    iou = (hits / np.maximum(1, truth + confusion.sum(0) - hits))[truth > 0]
    assert 0.02 < iou.mean() < 0.25
