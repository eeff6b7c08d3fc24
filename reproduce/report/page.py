"""The report: one HTML file that opens from disk and asks nothing of any network."""

import base64
import hashlib
from dataclasses import dataclass
from importlib.resources import files
from itertools import groupby
from pathlib import Path

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from reproduce.errors import UserError
from reproduce.files import write_atomically
from reproduce.report.claims import claim_of
from reproduce.report.links import anchor
from reproduce.report.networks import curve_data, networks
from reproduce.report.pictures import galleries
from reproduce.report.runs import all_runs, provenance, run_cells
from reproduce.report.tables import read_tables
from reproduce.runs.plan import scale_about

#: Most bytes of a page that is handed around.
LIMIT = 8_000_000


@dataclass(frozen=True)
class Request:
    """What was asked for.

    Attributes:
        scale: Scale.
        tables: Folder of the tables.
        out: File to write.
        runs: Folder of the runs, for the pictures.
        data: Root of the data set, for the pictures; ``None``: generated data in ``data/NAME``.
    """

    scale: str
    tables: Path
    out: Path
    runs: Path
    data: Path | None = None


def _asset(name: str) -> str:
    return (files("reproduce.report") / "assets" / name).read_text(encoding="utf-8")


def render_page(request: Request) -> str:
    """The page.

    Raises:
        UserError: If there are no tables, or the page is too large.
    """
    tables, absent = read_tables(request.tables, request.scale)
    found = list(networks(tables))
    pictures, problems = galleries(found, request.runs, request.data)
    runs = all_runs(tables)
    script = _asset("script.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    page = environment.from_string(_asset("page.html")).render(
        scale=request.scale,
        about=scale_about(request.scale),
        tables=tables,
        absent=absent,
        claims=[claim_of(table) for table in tables],
        networks=found,
        groups=[(k, list(v)) for k, v in groupby(found, key=lambda network: network.table)],
        curves=curve_data(found),
        galleries=pictures,
        problems=problems,
        runs=runs,
        run_cells=run_cells(tables),
        provenance=provenance(runs),
        anchor=anchor,
        style=Markup(_asset("style.css")),  # noqa: S704 - the package's own file
        script=Markup(script),  # noqa: S704 - as above
        script_hash=digest,
    )
    if len(page.encode()) > LIMIT:
        raise UserError(f"the page has {len(page.encode())} bytes, expected at most {LIMIT}")
    return page


def write_report(request: Request) -> str:
    """Write the page; a line that says where it is, how large, and what it lacks."""
    page = render_page(request)
    write_atomically(request.out, page)
    return f"{len(page.encode()) / 1e6:.1f} MB written to {request.out}"
