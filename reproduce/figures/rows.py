"""Figures of a table's rows: images with answers, and level set functions."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from reproduce.errors import UserError
from reproduce.experiments import Row, TableSpec
from reproduce.figures.examples import Examples, Trained, answer_examples, crf_column, trained
from reproduce.figures.figure import Figure, absent, code_of, digest
from reproduce.files import write_atomically
from reproduce.tables.figures import png_bytes
from reproduce.tables.markdown import CellRun
from reproduce.tables.render import Cells

IMAGES = "Images, as Figures 1, 6 and 7"
LEVEL_SETS = "Level set functions, as Figure 3"

SECTIONS = {"examples": IMAGES, "level_set": LEVEL_SETS}

#: Code that the pictures hang on.
CODE = ("reproduce.figures.examples", "reproduce.figures.pictures", "reproduce.figures.sheet")

#: What the pictures show of a record, or which says that the networks are others.
USED = ("id", "date", "code", "crf", "image_iou")


@dataclass(frozen=True)
class Place:
    """Where things are.

    Attributes:
        scale: Scale of the runs.
        runs: Folder of the runs.
        data: Root of the data set; ``None``: generated data in ``data/NAME``.
        out: Folder of the figures.
        known: Inputs of the figures that were drawn, by key.
    """

    scale: str
    runs: Path
    data: Path | None
    out: Path
    known: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class _Row:
    """A row with the runs of one seed, and what is drawn of it."""

    place: Place
    spec: TableSpec
    row: Row
    chosen: Trained

    @property
    def columns(self) -> dict[str, str]:
        """Headings of the answers by column, in the order of the table."""
        runs = self.chosen.runs
        return {c.key: c.label for c in self.spec.columns if c.key in runs}

    def inputs(self) -> str:
        records = [run.record or {} for run in self.chosen.runs.values()]
        used = [{key: record.get(key) for key in USED} for record in records]
        return digest(self.place.scale, self.row.label, self.columns, used, code_of(*CODE))

    def caption(self, columns: Mapping[str, str]) -> str:
        runs = self.chosen.runs
        named = ", ".join(f"{label} `{runs[key].id}`" for key, label in columns.items())
        crf, more = crf_column(self.spec), ""
        if crf is not None and self.row.has(crf) and self.chosen.crf is None:
            more = f" {crf.label}: not run."
        return f"Seed {self.chosen.seed}: {named}.{more}"

    def examples(self) -> Examples:
        missing = self.chosen.missing(self.place.runs)
        if missing:
            folder = missing[0].parent
            first = f"remove {folder} and call " if folder.is_dir() else ""
            data = "" if self.place.data is None else f" --data {self.place.data}"
            raise UserError(
                f"{self.row.label}: no {missing[0]}: {first}reproduce table {self.spec.name} "
                f"--scale {self.place.scale} --runs {self.place.runs}{data} "
                f"--only '{self.row.key}/*' trains it"
            )
        return answer_examples(self.chosen, self.place.runs, self.place.data)


def _names(
    place: Place, spec: TableSpec, row: Row, what: str
) -> tuple[str, str, str, tuple[Path, Path]]:
    """Key, section, title and files of a figure."""
    key = f"{what}_{spec.name}_{row.key}"
    files = (place.out / f"{key}.svg", place.out / f"{key}.png")
    return key, SECTIONS[what], row.label, files


def _source(place: Place, spec: TableSpec) -> str:
    return f"make {spec.name} SCALE={place.scale}"


def _figure(
    row: _Row, what: str, columns: Mapping[str, str], examples: Callable[[], Examples]
) -> Figure:
    key, section, title, (svg, png) = _names(row.place, row.spec, row.row, what)
    caption = row.caption(columns)

    def draw() -> None:
        from reproduce.figures.pictures import draw_examples, draw_level_set

        notes = [f"{title}, {row.place.scale} scale. {caption.replace('`', '')}"]
        make = draw_examples if what == "examples" else draw_level_set
        sheet = make(examples(), columns, row.spec.gain, notes)
        write_atomically(svg, sheet.svg())
        write_atomically(png, png_bytes(sheet.png()))

    source = _source(row.place, row.spec)
    return Figure(key, section, title, row.inputs(), svg, png, draw, source, caption)


def _choose(rows: Sequence[_Row]) -> _Row:
    """The seed that is shown: of what is drawn already, else with checkpoints, else the first."""
    place = rows[0].place
    keys = [_names(place, rows[0].spec, rows[0].row, what)[0] for what in SECTIONS]
    drawn = {place.known.get(key) for key in keys}
    there = (row for row in rows if not row.chosen.missing(place.runs))
    return next((row for row in rows if row.inputs() in drawn), next(there, rows[0]))


def row_figures(
    place: Place, spec: TableSpec, runs: Sequence[CellRun]
) -> Iterator[tuple[Figure, Figure]]:
    """Images and level set function of every row that the paper has too.

    Args:
        place: Where things are.
        spec: The table.
        runs: One per cell and seed.
    """
    cells = Cells(runs)
    for row in spec.rows:
        if not row.paper:
            continue
        found = [_Row(place, spec, row, chosen) for chosen in trained(spec, row, cells)]
        if not found:
            source, problem = _source(place, spec), f"{row.label}: not run"
            names = [_names(place, spec, row, what) for what in SECTIONS]
            first, second = (absent(*name, source, problem) for name in names)
            yield first, second
            continue
        shown = _choose(found)
        examples = cache(shown.examples)  # both figures show the same answers
        pair = {key: label for key, label in shown.columns.items() if key in spec.gain}
        yield (
            _figure(shown, "examples", shown.columns, examples),
            _figure(shown, "level_set", pair, examples),
        )
