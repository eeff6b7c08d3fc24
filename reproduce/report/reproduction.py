"""``docs/reproduction.md`` and the table in the README, made from the records."""

from collections.abc import Iterator, Sequence
from importlib.resources import files
from pathlib import Path

from jinja2 import Environment, StrictUndefined

from reproduce.errors import UserError
from reproduce.experiments import REPOSITORY, SCALES
from reproduce.files import write_atomically
from reproduce.report.evidence import Evidence, read_evidence
from reproduce.tables.markdown import grid

#: Where the page is committed.
PAGE = REPOSITORY / "docs" / "reproduction.md"
README = REPOSITORY / "README.md"

#: Around the gains in the README.
FIRST_MARK = "<!-- from the records, by make claims -->\n"
LAST_MARK = "<!-- end -->"


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


def _evidence(tables: Path) -> list[Evidence]:
    made = [scale for scale in SCALES if any((tables / scale).glob("*.json"))]
    if not made:
        raise UserError(f"no tables in {tables}: make table1 writes the first")
    return [read_evidence(tables, scale) for scale in made]


def render_reproduction(scales: Sequence[Evidence]) -> str:
    """The page.

    Args:
        scales: Evidence of every scale that has tables.
    """
    absent = [name for name in SCALES if name not in {scale.name for scale in scales}]
    template = (files("reproduce.report") / "assets" / "reproduction.md").read_text("utf-8")
    environment = Environment(  # noqa: S701 - Markdown; its cells are escaped where they are made
        undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True
    )
    return environment.from_string(template).render(
        scales=scales, absent=absent, conclusions=conclusions(scales, absent)
    )


def with_gains(text: str, scales: Sequence[Evidence]) -> str:
    """A text whose block between two marks has the gains of Table 1 at demo scale.

    Args:
        text: Markdown; without marks it stays as it is.
        scales: As for :func:`render_reproduction`.
    """
    gains = [g for scale in scales if scale.name == "demo" for g in scale.gains]
    rows = [[g.method, g.ours, g.paper, g.verdict] for g in gains if g.table == "Table 1"]
    lines = grid(["Method", "Gain, ours", "Gain, paper", "Verdict"], rows, "-xx-")
    before, mark, rest = text.partition(FIRST_MARK)
    _, last, after = rest.partition(LAST_MARK)
    return f"{before}{mark}{chr(10).join(lines)}\n{last}{after}" if mark and last else text


def _pages(tables: Path, page: Path, readme: Path) -> Iterator[tuple[Path, str]]:
    scales = _evidence(tables)
    yield page, render_reproduction(scales)
    yield readme, with_gains(readme.read_text("utf-8"), scales)


def write_reproduction(tables: Path, page: Path = PAGE, readme: Path = README) -> str:
    """Write the page and the gains in the README; a line that says so.

    Args:
        tables: Folder of the tables.
        page: The page.
        readme: The README.

    Raises:
        UserError: If there are no tables.
    """
    for path, text in _pages(tables, page, readme):
        write_atomically(path, text)
    return f"written to {page} and the table in {readme}"


def check_reproduction(tables: Path, page: Path = PAGE, readme: Path = README) -> str:
    """A line that says that both are what the records give.

    Raises:
        UserError: If one is not.
    """
    for path, text in _pages(tables, page, readme):
        if not path.is_file() or path.read_text("utf-8") != text:
            raise UserError(f"{path} is not what the records give: run make claims and commit it")
    return f"{page.name} and the table in {readme.name} are what the records give"
