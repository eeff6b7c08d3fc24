"""Fingerprint of the code behind a run."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from reproduce.runs import fingerprint
from reproduce.runs.fingerprint import code_fingerprint, imported_modules, strip_prose

CONFIG: dict[str, Any] = {
    "model": {"class_path": "reproduce.models.FCN", "init_args": {"stride": 32}},
    "data": {"class_path": "reproduce.data.VOCDataModule"},
    "trainer": {"callbacks": [{"class_path": "reproduce.callbacks.LevelSetCallback"}]},
}


def test_prose_does_not_count() -> None:
    first = (
        '"""Doc."""\n\n\ndef f(x):  # comment\n    """Doc of f."""\n    return "# no comment", x\n'
    )
    second = 'def f(x):\n    return "# no comment", x\n'
    assert strip_prose(first) == strip_prose(second)
    assert strip_prose(second) != strip_prose(second.replace("x", "y"))


def test_lines_marked_as_unscored_do_not_count() -> None:
    plain = "def f(x):\n    return x\n"
    marked = "def f(x):\n    if fast(x):  # unscored\n        return x  # unscored\n    return x\n"
    assert strip_prose(marked) == strip_prose(plain)
    found = imported_modules(frozenset({"reproduce.losses.fused"}))
    assert "reproduce.losses.native" in found
    assert "reproduce.losses.cuda" not in found


def test_follows_imports_through_packages() -> None:
    found = imported_modules(frozenset({"reproduce.models.fcn"}))
    assert {"reproduce.models.fcn", "reproduce.models.module", "reproduce.metrics.scores"} <= found
    assert "reproduce.models.deeplab" not in found
    assert not any(name.startswith(("reproduce.errors", "reproduce.runs")) for name in found)


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of the package that may be changed."""
    import shutil

    copy = Path(shutil.copytree(fingerprint.PACKAGE, tmp_path / "reproduce"))
    monkeypatch.setattr(fingerprint, "PACKAGE", copy)
    for cached in (fingerprint.imported_modules, fingerprint._hash_modules):
        cached.cache_clear()
    yield copy
    for cached in (fingerprint.imported_modules, fingerprint._hash_modules):
        cached.cache_clear()


@pytest.mark.parametrize(
    ("file", "counts"),
    [
        ("models/fcn.py", True),
        ("models/module.py", True),
        ("losses/heaviside.py", True),
        ("losses/native.c", True),
        ("losses/native_math.h", True),
        ("losses/cuda.py", False),
        ("data/transforms.py", True),
        ("data/datamodule.py", True),
        ("models/deeplab.py", False),
        ("data/context.py", False),
        ("tables/render.py", False),
        ("runs/launch.py", False),
    ],
)
def test_what_counts(package: Path, file: str, counts: bool) -> None:
    before = code_fingerprint(CONFIG)
    assert len(before) == 12
    path = package / file
    path.write_text(path.read_text() + "\nCHANGED = 1\n")
    for cached in (fingerprint.imported_modules, fingerprint._hash_modules):
        cached.cache_clear()
    assert (code_fingerprint(CONFIG) != before) is counts


def test_the_clock_counts_for_timing_only(package: Path) -> None:
    parts: list[dict[str, Any]] = [{}, {"crf": None}, {"timing": {}, "crf": None}]
    configs = [{**CONFIG, "evaluation": part} if part else CONFIG for part in parts]
    before = [code_fingerprint(config) for config in configs]
    assert len(set(before)) == 3
    path = package / "postprocess/timing.py"
    path.write_text(path.read_text() + "\nCHANGED = 1\n")
    for cached in (fingerprint.imported_modules, fingerprint._hash_modules):
        cached.cache_clear()
    after = [code_fingerprint(config) for config in configs]
    assert [a == b for a, b in zip(after, before, strict=True)] == [True, True, False]


def test_classes_of_others_do_not_count() -> None:
    foreign = {**CONFIG, "extra": {"class_path": "torch.nn.Linear"}}
    assert code_fingerprint(foreign) == code_fingerprint(CONFIG)


def test_classes_of_the_user_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file of the user's class, what it imports from here, and neither comments nor others."""
    package = tmp_path / "own_code"
    package.mkdir()
    (package / "__init__.py").write_text("raise RuntimeError('is not imported')\n")
    own = {**CONFIG, "model": {"class_path": "own_code.nets.Net"}}
    monkeypatch.syspath_prepend(tmp_path)

    def written(text: str) -> str:
        (package / "nets.py").write_text(text)
        for cached in (fingerprint.imported_modules, fingerprint._hash_modules):
            cached.cache_clear()
        return code_fingerprint(own)

    first = written("class Net: ...\n")
    assert first == written("# The same.\nclass Net: ...\n")
    assert len({first, written("class Net: x = 1\n"), code_fingerprint(CONFIG)}) == 3
    written("from reproduce.models import DeepLabResNet101\nclass Net(DeepLabResNet101): ...\n")
    found = imported_modules(frozenset({"own_code.nets"}))
    assert {"own_code.nets", "reproduce.models.deeplab"} <= found
    assert "reproduce.models.fcn" not in found
