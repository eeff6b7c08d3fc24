"""What a figure is: its files, what it is made from, and how it is drawn."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from reproduce.errors import UserError
from reproduce.runs.fingerprint import PACKAGE, strip_prose


@dataclass(frozen=True)
class Figure:
    """One figure.

    Attributes:
        key: Its name.
        section: Heading under which it is shown.
        title: What it shows, in a line.
        inputs: Digest of all it is made from.
        svg: Vector file.
        png: Pixel file.
        draw: Writes the files that are not there or not of these inputs.
        source: The command that gives what it is made from, if it is made from runs.
        caption: What more is said of it, in Markdown.
        runs: Ids of the runs it was made from, where the caption does not name them.

    ``draw`` raises a :class:`~reproduce.errors.UserError` if something it needs is not there.
    """

    key: str
    section: str
    title: str
    inputs: str
    svg: Path
    png: Path
    draw: Callable[[], None]
    source: str = ""
    caption: str = ""
    runs: Sequence[str] = ()

    def state(self, known: Mapping[str, str]) -> str:
        """``fresh``, ``stale`` or ``missing``.

        Args:
            known: Inputs of the figures that were drawn, by key.
        """
        if self.key not in known or not (self.svg.is_file() and self.png.is_file()):
            return "missing"
        return "fresh" if known[self.key] == self.inputs else "stale"


def absent(
    key: str, section: str, title: str, files: tuple[Path, Path], source: str, problem: str
) -> Figure:
    """A figure whose runs there are not.

    Args:
        key: As of :class:`Figure`.
        section: As above.
        title: As above.
        files: SVG and PNG that it would have.
        source: As above.
        problem: What is missing, one line.
    """

    def draw() -> NoReturn:
        raise UserError(f"{problem}: {source}")

    return Figure(key, section, title, "", *files, draw, source)


def code_of(*modules: str) -> str:
    """Source of modules without comments and docstrings, to be part of a figure's inputs."""
    files = (PACKAGE.parent.joinpath(*name.split(".")).with_suffix(".py") for name in modules)
    return "\n".join(strip_prose(file.read_text(encoding="utf-8")) for file in files)


def digest(*inputs: Any) -> str:  # noqa: ANN401 - anything that JSON holds
    """A digest of what a figure is made from."""
    return hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()[:16]
