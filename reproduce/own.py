"""The user's own classes, outside of this package: how they are found. Needs no torch."""

import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from reproduce.errors import UserError


def search_here() -> None:
    """Let modules of the current folder be found, after all others; runs inherit it."""
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.append(here)


def import_own(class_path: str) -> Any:  # noqa: ANN401 - whatever stands there
    """What a configuration names by its path.

    Args:
        class_path: ``MODULE.NAME``.

    Raises:
        UserError: If there is no such module, it fails, or it has no such name.
    """
    module, _, name = class_path.rpartition(".")
    try:
        return getattr(import_module(module), name)
    except Exception as error:  # noqa: BLE001 - the user's module may raise anything
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UserError(
            f"{class_path} cannot be imported ({reason}): expected MODULE.NAME in the current "
            "folder, on PYTHONPATH, or installed"
        ) from None


def own_file(module: str) -> Path | None:
    """Source file of a module, which is not imported.

    Args:
        module: Its name.

    Returns:
        The file; ``None`` for an installed module, whose package has a version, and for none.
    """
    top, *rest = module.split(".")
    spec = find_spec(top)
    if spec is None or spec.origin is None:
        return None
    path = Path(spec.origin)
    if rest:
        path = path.parent.joinpath(*rest)
        path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    installed = {"site-packages", "dist-packages"} & set(path.parts)
    return None if installed or path.suffix != ".py" or not path.is_file() else path
