"""Files from elsewhere run no code, and secrets stay where they are."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from reproduce.experiments import REPOSITORY
from tests.conftest import make_voc
from tests.faults.place import Place, fresh_server

SOURCES = [*sorted((REPOSITORY / "reproduce").rglob("*.py")), REPOSITORY / "hubconf.py"]

#: Calls that run code, or follow paths, which a file names.
FORBIDDEN = {
    *("eval", "exec", "os.system", "os.popen", "tar.extractall", "file.extractall"),
    *("shutil.unpack_archive", "yaml.load", "yaml.unsafe_load", "yaml.full_load"),
    *("pickle.load", "pickle.loads", "pickle.Unpickler", "marshal.loads", "shelve.open"),
    *("dill.load", "joblib.load", "cloudpickle.load", "runpy.run_path"),
}


def calls(path: Path) -> Iterator[tuple[str, ast.Call]]:
    """Every call in a file with the name of what is called."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node


def options(call: ast.Call) -> dict[str | None, str]:
    return {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_no_file_is_read_in_a_way_that_runs_code(path: Path) -> None:
    for name, call in calls(path):
        where = f"{path}:{call.lineno}: {name}"
        assert name not in FORBIDDEN, where
        assert not name.endswith(".extractall"), where
        assert options(call).get("shell", "False") == "False", where
        assert options(call).get("allow_pickle", "False") == "False", where
        if name == "torch.load" or name.endswith("load_state_dict_from_url"):
            assert options(call).get("weights_only") == "True", where
        if name.endswith((".fit", ".validate", ".test", ".predict")) and "ckpt_path" in options(
            call
        ):
            assert options(call)["weights_only"].startswith("True"), where


def test_what_is_forbidden_is_seen(tmp_path: Path) -> None:
    """The test above would fail if one of these were there."""
    path = tmp_path / "bad.py"
    path.write_text("yaml.load(text)\nwith x as y:\n    torch.load(name)\n")
    found = dict(calls(path))
    assert "yaml.load" in FORBIDDEN & found.keys()
    assert "weights_only" not in options(found["torch.load"])


SECRETS = {
    "WANDB_API_KEY": "0123456789abcdef0123456789abcdef01234567",
    "AWS_SECRET_ACCESS_KEY": "not-for-anyone-else",
    "HF_TOKEN": "hf_fakefakefakefake",
}


def test_no_secret_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Neither into runs (W&B's own files too) nor into tables, nor printed."""
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("WANDB_MODE", raising=False)
    fresh_server()
    data = make_voc(tmp_path / "shapes", train=10, val=3, classes=7)
    place = Place(tmp_path, data, capsys)
    words = place.words(only="fcn8s*/level_set")
    words[words.index("--wandb") + 1] = "offline"
    status, out, error = place.call(*words)
    fresh_server()
    assert status == 0, out + error
    assert list(tmp_path.glob("runs/*/wandb/offline-run-*/*.wandb"))
    texts = {"output": (out + error).encode()}
    for folder in ("runs", "tables"):
        files = [path for path in (tmp_path / folder).rglob("*") if path.is_file()]
        assert len(files) > 2
        texts |= {str(path): path.read_bytes() for path in files}
    for name, value in SECRETS.items():
        holders = [where for where, text in texts.items() if value.encode() in text]
        assert not holders, f"{name} is in {holders}"
