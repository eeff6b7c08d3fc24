"""Which code a run's scores depend on: a fingerprint that changes when that code does."""

import ast
import hashlib
import io
import tokenize
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from reproduce.class_paths import class_paths
from reproduce.own import own_file

PACKAGE = Path(__file__).resolve().parents[1]

#: Modules every run depends on beside the classes its configuration names. What the layouts and
#: class tables of the data sets make of the files is in the digest of the data's manifest.
COMMON = (
    "reproduce.data.datamodule",
    "reproduce.data.images",
    "reproduce.data.loading",
    "reproduce.data.transforms",
)

#: Modules that an evaluation of a trained network depends on beside those.
EVALUATION = (
    "reproduce.metrics.by_image",
    "reproduce.postprocess.crf",
    "reproduce.postprocess.scoring",
    "reproduce.postprocess.search",
)

#: What seconds per image depend on beside those.
TIMING = ("reproduce.postprocess.timing",)

#: What the measurement of a training step depends on beside those; it evaluates nothing.
OVERHEAD = ("reproduce.bench.overhead",)

#: Modules without influence on a score, and those whose influence is in the data's digest.
NEUTRAL_MODULES = ("reproduce.errors", "reproduce.files", "reproduce.data")


#: Comment on lines that do not count: they lead to the same numbers another way.
UNSCORED = "# unscored"


def strip_prose(source: str) -> str:
    """Python source without comments, docstrings, blank lines, and lines marked as unscored."""
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
            if token.string.startswith(UNSCORED):
                drop.add(row)
            lines[row - 1] = lines[row - 1][:column]
    kept = (line.rstrip() for number, line in enumerate(lines, 1) if number not in drop)
    return "\n".join(line for line in kept if line)


def _file(module: str) -> Path:
    if not module.startswith("reproduce."):
        return own_file(module) or Path(module)
    path = PACKAGE.parent.joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def _imports(module: str) -> Iterator[tuple[str, str]]:
    """Module and name of every ``from reproduce... import name`` in a module."""
    source = _file(module).read_text(encoding="utf-8")
    lines = source.splitlines()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("reproduce"):
            if UNSCORED in lines[node.lineno - 1]:
                continue
            for alias in node.names:
                yield str(node.module), alias.name


@cache
def _home(module: str, name: str) -> str:
    """The module in which a name of a package really stands."""
    if _file(f"{module}.{name}").is_file():
        return f"{module}.{name}"
    if _file(module).name == "__init__.py":
        for origin, imported in _imports(module):
            if imported == name:
                return _home(origin, name)
    return module


@cache
def imported_modules(roots: frozenset[str]) -> frozenset[str]:
    """Modules of this package that some modules import, directly or not, and themselves.

    Args:
        roots: Names of modules.
    """
    found: set[str] = set()
    waiting = list(roots)
    while waiting:
        module = waiting.pop()
        if module in found or (module.startswith(NEUTRAL_MODULES) and module not in COMMON):
            continue
        found.add(module)
        waiting += [_home(origin, name) for origin, name in _imports(module)]
    return frozenset(found)


@cache
def _hash_modules(modules: frozenset[str]) -> str:
    digest = hashlib.sha256()
    for module in sorted(modules):
        text = strip_prose(_file(module).read_text(encoding="utf-8"))
        digest.update(f"{module}\n{text}\n".encode())
        for kernel in sorted(_file(module).parent.glob(f"{_file(module).stem}*.[ch]")):
            digest.update(kernel.read_bytes())
    return digest.hexdigest()[:12]


def code_fingerprint(config: Mapping[str, Any]) -> str:
    """Hash of the code that a run's scores depend on; comments and docstrings do not count.

    It covers the modules of the classes the configuration names with all they import, kernels in C
    beside them, and the loaders, so that a new loss or data set leaves the runs of the others as
    they are. Of the user's own classes it covers the file that the path names, and what that
    imports from here; installed packages do not count.
    """
    named = set()
    for path in map(str, class_paths(config)):
        module, _, name = path.rpartition(".")
        if path.startswith("reproduce."):
            named.add(_home(module, name))
        elif module and own_file(module) is not None:
            named.add(module)
    evaluation = config.get("evaluation", {})
    if "overhead" in evaluation:
        named |= set(OVERHEAD)
    elif evaluation:
        named |= {*EVALUATION, *(TIMING if "timing" in evaluation else ())}
    return _hash_modules(imported_modules(frozenset(named | set(COMMON))))
