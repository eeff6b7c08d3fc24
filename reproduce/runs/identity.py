"""What makes two runs the same run, and which code their scores depend on."""

import ast
import copy
import hashlib
import io
import json
import tokenize
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

#: Options that do not change a result, by section: paths, workers, devices, display.
NEUTRAL = {
    "data": {"root", "num_workers", "cache", "val_batch_size"},
    "trainer": {
        "accelerator",
        "default_root_dir",
        "devices",
        "enable_checkpointing",
        "enable_model_summary",
        "enable_progress_bar",
        "log_every_n_steps",
        "logger",
        "num_nodes",
        "strategy",
    },
}

#: Parts of the package that scores depend on.
SCORING = (
    "losses",
    "models",
    "metrics",
    "data/images.py",
    "data/labels.py",
    "data/layouts.py",
    "data/loading.py",
    "data/modules.py",
    "data/transforms.py",
    "callbacks/level_set.py",
)


def identity_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration without its neutral options."""
    out = copy.deepcopy(dict(config))
    for key in NEUTRAL["trainer"]:
        out.get("trainer", {}).pop(key, None)
    for key in NEUTRAL["data"]:
        out.get("data", {}).get("init_args", {}).pop(key, None)
    return out


def config_hash(config: Mapping[str, Any]) -> str:
    """SHA-256 of the options that change a result, the seed included."""
    text = json.dumps(identity_config(config), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def run_id(config: Mapping[str, Any], data_digest: str) -> str:
    """Identity of a run: 12 hexadecimal digits from its configuration and its data's manifest."""
    return hashlib.sha256(f"{config_hash(config)} {data_digest}".encode()).hexdigest()[:12]


def strip_prose(source: str) -> str:
    """Python source without comments, docstrings and blank lines."""
    drop: set[int] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0] if node.body else None
            if (
                isinstance(first, ast.Expr)
                and isinstance(first.value, ast.Constant)
                and isinstance(first.value.value, str)
            ):
                drop.update(range(first.lineno, (first.end_lineno or first.lineno) + 1))
    lines = source.splitlines()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            row, column = token.start
            lines[row - 1] = lines[row - 1][:column]
    kept = (line.rstrip() for number, line in enumerate(lines, 1) if number not in drop)
    return "\n".join(line for line in kept if line)


@cache
def code_fingerprint() -> str:
    """Hash of the code that scores depend on; comments and docstrings do not count."""
    package = Path(__file__).resolve().parents[1]
    digest = hashlib.sha256()
    for part in SCORING:
        path = package / part
        for file in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            digest.update(strip_prose(file.read_text(encoding="utf-8")).encode())
    return digest.hexdigest()[:12]
