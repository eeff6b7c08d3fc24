"""The page of all figures: a pure function of the tables, and of what was drawn from them."""

import os
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path

from reproduce.figures.figure import Figure
from reproduce.figures.rows import IMAGES, LEVEL_SETS

PAGE = """\
# Figures ({scale} scale)

{about}

Made from logged runs by `make figures SCALE={scale}`, which draws anew only what is stale.
Each picture leads to its PNG.
{sections}"""

#: What is said once below a heading.
INTRODUCTIONS = {
    IMAGES: """\
Three validation images for each network, chosen by a rule: by IoU of the image with the level set
loss minus that without it, the largest gain, the median and the largest loss. IoU is the mean over
the classes that occur in an image, as the record of the run has it.""",
    LEVEL_SETS: """\
The image of the largest gain above, and of its objects the class whose IoU gains most there. A
network is right where its zero level line lies on the contour of the truth.""",
}


def _link(path: Path, folder: Path) -> str:
    return Path(os.path.relpath(path, folder)).as_posix()


def _figure(figure: Figure, state: str, folder: Path, scale: str) -> Iterator[str]:
    if state == "missing":
        needed = f"`{figure.source}` trains its networks, " if figure.source else ""
        title = figure.title.rstrip(".")
        yield f"**{title}**: not drawn: {needed}`make figures SCALE={scale}` draws it."
        return
    svg, png = _link(figure.svg, folder), _link(figure.png, folder)
    yield f"[![{figure.title}]({svg})]({png})"
    if state == "stale":
        needed = f"`{figure.source}` and " if figure.source else ""
        yield (
            f"**{figure.title}** Stale: its runs or its code have changed since: "
            f"{needed}`make figures SCALE={scale}` draws it anew."
        )
        return
    yield f"**{figure.title}** {figure.caption}".rstrip()
    if figure.runs:
        listed = ", ".join(f"`{name}`" for name in figure.runs)
        yield f"<details><summary>{len(figure.runs)} runs</summary>\n\n{listed}\n\n</details>"


def render_index(
    scale: str, about: str, figures: Sequence[Figure], known: Mapping[str, str], folder: Path
) -> str:
    """The page as Markdown.

    Args:
        scale: Scale.
        about: What the scale is.
        figures: All figures, those of a section beside each other.
        known: Inputs of the figures that were drawn, by key.
        folder: Where the page stands.
    """
    parts: list[str] = []
    for section, group in groupby(figures, key=lambda figure: figure.section):
        parts.append(f"## {section}")
        if section in INTRODUCTIONS:
            parts.append(INTRODUCTIONS[section])
        for figure in group:
            parts += _figure(figure, figure.state(known), folder, scale)
    sections = "".join(f"\n{part}\n" for part in parts)
    return PAGE.format(scale=scale, about=about, sections=sections)
