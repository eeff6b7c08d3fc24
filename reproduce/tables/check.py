"""That every committed table is byte for byte what its records give."""

from pathlib import Path

from reproduce.errors import UserError
from reproduce.experiments import SCALES
from reproduce.tables.driver import committed_cells, render_cells


def stale_tables(out: Path) -> list[str]:
    """Paths of Markdown files under ``out`` that their records do not give."""
    wrong = []
    for scale in SCALES:
        for index in sorted((out / scale).glob("*.json")):
            page = index.with_suffix(".md")
            expected = render_cells(*committed_cells(index))
            if not page.exists() or page.read_bytes() != expected.encode():
                wrong.append(str(page))
    return wrong


def check_tables(out: Path) -> str:
    """A line that says how many tables are sound.

    Raises:
        UserError: Naming the first that is not.
    """
    wrong = stale_tables(out)
    if wrong:
        raise UserError(
            f"{wrong[0]} is not what its records give (code or specification changed since): run "
            "make for that table, or reproduce table NAME --no-train, and commit the result"
        )
    return f"every table under {out.name}/ is what its records give"
