"""``docs/reproduction.md``: scope, method, evidence, cost, conclusions, made from the records."""

from collections.abc import Iterator, Sequence
from importlib.resources import files
from pathlib import Path

from jinja2 import Environment, StrictUndefined

from reproduce.errors import UserError
from reproduce.experiments import REPOSITORY, SCALES
from reproduce.files import write_atomically
from reproduce.report.evidence import Evidence, read_evidence

#: Where the page is committed.
PAGE = REPOSITORY / "docs" / "reproduction.md"


def _scale_conclusions(scale: Evidence) -> Iterator[str]:
    """What the gains of a scale allow to say, by their intervals alone."""
    signs = [gain.sign for gain in scale.gains]
    resolution = scale.resolution
    if resolution is None:
        yield f"{scale.name}: no gain has an interval, so none of them is a result."
        return
    yield (
        f"{scale.name}: of {len(signs)} gains {signs.count(1)} have an interval above zero and "
        f"{signs.count(-1)} below. Of 20 intervals one leaves out zero by chance."
    )
    if 0 in signs:
        width, paper = resolution
        wide = width > paper
        yield (
            f"{scale.name}: the median interval is ±{width:.1f} points, the paper's median gain "
            f"{paper:+.1f}. "
            + (
                "Most of what was *not seen* could not have been seen with so few seeds."
                if wide
                else "A gain of the paper's size would mostly have been seen."
            )
        )


def conclusions(scales: Sequence[Evidence], absent: Sequence[str]) -> list[str]:
    """Sentences that follow from the evidence.

    Args:
        scales: Scales that have tables.
        absent: Those that have none.
    """
    lines = [line for scale in scales for line in _scale_conclusions(scale)]
    if "paper" in absent:
        lines.append(
            "Nothing ran at the paper's scale: its numbers on VOC, Context and Cityscapes are "
            "neither confirmed nor refuted here."
        )
    return lines


def render_reproduction(tables: Path) -> str:
    """The page.

    Args:
        tables: Folder of the tables.

    Raises:
        UserError: If there are no tables.
    """
    made = [scale for scale in SCALES if any((tables / scale).glob("*.json"))]
    if not made:
        raise UserError(f"no tables in {tables}: make table1 writes the first")
    absent = [scale for scale in SCALES if scale not in made]
    scales = [read_evidence(tables, scale) for scale in made]
    template = (files("reproduce.report") / "assets" / "reproduction.md").read_text("utf-8")
    environment = Environment(  # noqa: S701 - Markdown; its cells are escaped where they are made
        undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True
    )
    return environment.from_string(template).render(
        scales=scales, absent=absent, conclusions=conclusions(scales, absent)
    )


def write_reproduction(tables: Path, page: Path = PAGE) -> str:
    """Write the page; a line that says so."""
    write_atomically(page, render_reproduction(tables))
    return f"written to {page}"


def check_reproduction(tables: Path, page: Path = PAGE) -> str:
    """A line that says that the page is what the records give.

    Raises:
        UserError: If it is not.
    """
    if not page.is_file() or page.read_text(encoding="utf-8") != render_reproduction(tables):
        raise UserError(f"{page} is not what the records give: run make claims and commit it")
    return f"{page.name} is what the records give"
