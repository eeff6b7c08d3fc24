"""Markdown of scores at contours and by size of object, from the counts in evaluation records."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from reproduce.experiments import Column, Row, TableSpec
from reproduce.metrics.bootstrap import Interval, paired_bootstrap
from reproduce.metrics.boundary_f import mean_boundary_f
from reproduce.metrics.by_image import DILATION, TOLERANCE
from reproduce.metrics.counts import Counts, intersection_union, mean_iou
from reproduce.metrics.encoding import AXES, decode_counts
from reproduce.metrics.objects import size_scores
from reproduce.metrics.trimap import TRIMAP_WIDTHS
from reproduce.runs.fingerprint import code_fingerprint
from reproduce.tables.markdown import CellRun, grid, runs_section

#: Draws of the bootstrap.
RESAMPLES = 1000
#: Arrays of an image, in the order of a row of :attr:`Network.counts`.
PARTS = tuple(name for name in AXES if name != "size_edges")
SIZES = ("small", "medium", "large")
#: Lines of a table in the order of :meth:`Network.scores`; {} stands for the areas of the size.
LINES = (
    "mIoU, whole image",
    *(f"mIoU within {width:g} px" for width in TRIMAP_WIDTHS[:-1]),
    "Boundary F",
    "Boundary IoU",
    *(f"IoU of {size} objects ({{}} px)" for size in SIZES),
    *(f"Recall of {size} objects ({{}} px)" for size in SIZES),
)
#: Places of scores in LINES.
WHOLE, BANDS = 0, slice(1, len(TRIMAP_WIDTHS))
BOUNDARY_F, BOUNDARY_IOU = BANDS.stop, BANDS.stop + 1
IOU, RECALL = slice(BOUNDARY_IOU + 1, BOUNDARY_IOU + 4), slice(BOUNDARY_IOU + 4, len(LINES))
#: What the reading looks at.
READ = {
    "whole image": WHOLE,
    "within 4 px of a contour": 1 + TRIMAP_WIDTHS.index(4),
    "Boundary F": BOUNDARY_F,
    "Boundary IoU": BOUNDARY_IOU,
    "recall of small objects": RECALL.start,
    "of large objects": RECALL.stop - 1,
}


class Content(NamedTuple):
    """What runs must have in common to be compared.

    Attributes:
        digest: Digest of the data set.
        names: Names of the images, in the order of the counts.
        shapes: Shape of each of :data:`PARTS` for one image.
        edges: Areas that part small, medium and large objects, in pixels.
    """

    digest: str = ""
    names: tuple[str, ...] = ()
    shapes: tuple[tuple[int, ...], ...] = ()
    edges: tuple[float, ...] = ()


class Network(NamedTuple):
    """What is known of a row: the runs that can be compared with each other.

    Attributes:
        row: The row.
        runs: All of its runs; those that cannot be compared have a note in place of the record.
        counts: By column and seed, float64 ``(N, F)``: all counts of each image in a row.
        content: Images and classes of all of them.
    """

    row: Row
    runs: tuple[CellRun, ...]
    counts: Mapping[str, Mapping[int, NDArray[np.float64]]]
    content: Content

    def scores(self, sums: NDArray[np.float64]) -> NDArray[np.float64]:
        """Scores in percent ``(R, len(LINES))`` of summed counts ``(R, F)``."""
        ends = np.cumsum([int(np.prod(shape)) for shape in self.content.shapes])[:-1]
        parts = {
            name: part.reshape(-1, *shape)
            for name, part, shape in zip(
                PARTS, np.split(sums, ends, 1), self.content.shapes, strict=True
            )
        }
        objects = size_scores(parts["sizes"])
        columns = (
            np.roll(mean_iou(parts["trimap"]), 1, axis=1),  # the whole image first
            mean_boundary_f(parts["boundary_f"])[:, None],
            mean_iou(parts["boundary_iou"])[:, None],
            objects.iou,
            objects.recall,
        )
        return np.round(100 * np.concatenate(columns, 1), 9)  # equal on machines that add otherwise

    def seeds(self, *columns: str) -> list[int]:
        """Seeds that all of some columns have."""
        found = (set(self.counts.get(column, {})) for column in columns)
        return sorted(set.intersection(*found))

    def note(self, *columns: Column) -> str:
        """How many trainings all of some columns have, and what is wrong with others."""
        if not all(self.row.has(column) for column in columns):
            return "–"
        runs = [run for run in self.runs if run.column in {c.key for c in columns}]
        seeds = self.seeds(*(column.key for column in columns))
        notes = [run.note for run in runs if run.note not in ("", "not run")]
        marks = [f"{notes.count(note)} {note}" for note in dict.fromkeys(notes)]
        marks += ["stale"] if any(map(_stale, runs)) else []
        count = f"{len(seeds)} shared" if len(columns) > 1 else str(len(seeds))
        return (count if seeds else "not run") + (f" ({', '.join(marks)})" if marks else "")

    def sums(self, column: str, seeds: Sequence[int]) -> NDArray[np.float64]:
        """Counts ``(N, F)`` of a column summed over some of its seeds."""
        return np.asarray(np.sum([self.counts[column][seed] for seed in seeds], axis=0))

    def value(self, column: str) -> NDArray[np.float64] | None:
        """Scores of a column in percent, ``(len(LINES),)``; ``None`` without a training."""
        seeds = self.seeds(column)
        return self.scores(self.sums(column, seeds).sum(0)[None])[0] if seeds else None

    def interval(self, column: str, base: str | None = None) -> Interval | None:
        """Scores of a column, or their differences to another, over the seeds that there are.

        Returns:
            Percent, each ``(len(LINES),)``; ``None`` without a training (of both).
        """
        seeds = self.seeds(column, base or column)
        if not seeds:
            return None
        first, second = self.sums(base or column, seeds), self.sums(column, seeds)
        both = paired_bootstrap(first, second, self.scores, RESAMPLES)
        return both.difference if base else both.second


def _stale(run: CellRun) -> bool:
    """Whether a run's record was made by other code."""
    record = run.record
    return record is not None and record["code"] != code_fingerprint(record["config"])


def _content(run: CellRun) -> tuple[Content, dict[str, Counts]]:
    """What makes runs comparable, and the counts of a run with a record.

    Raises:
        ValueError: If the record has no counts, or they do not fit the rest of it; one line.
    """
    record = run.record or {}
    arrays = decode_counts(record.get("details"))
    names = tuple(record["image_iou"])
    whole = intersection_union(np.asarray(record["confusion"], np.int64))
    if len(names) != len(arrays["trimap"]) or arrays["trimap"].shape[1] != len(TRIMAP_WIDTHS):
        raise ValueError(f"counts of {arrays['trimap'].shape} for {len(names)} images")
    if not np.array_equal(arrays["trimap"].sum(0)[-1], whole):
        raise ValueError("counts of the details differ from those of the confusion matrix")
    shapes = tuple(arrays[part].shape[1:] for part in PARTS)
    edges = tuple(arrays["size_edges"].tolist())
    return Content(record["data"]["digest"], names, shapes, edges), arrays


def _network(row: Row, columns: Sequence[str], runs: Sequence[CellRun]) -> Network:
    """Runs of a row; the first one, by column and seed, says which images are compared."""
    kept: list[CellRun] = []
    counts: dict[str, dict[int, NDArray[np.float64]]] = {}
    first: Content | None = None
    model = ""
    for run in sorted(runs, key=lambda run: (columns.index(run.column), run.seed)):
        if run.record is None:
            kept.append(run)
            continue
        try:
            identity, arrays = _content(run)
        except (ValueError, KeyError, TypeError) as error:
            kept.append(run._replace(record=None, note="unreadable", problem=str(error)))
            continue
        if first is None:
            first, model = identity, f"{run.row}/{run.column}, seed {run.seed}"
        if identity != first:
            problem = f"not the images and classes of {model}"
            kept.append(run._replace(record=None, note="not comparable", problem=problem))
            continue
        kept.append(run)
        flat = [arrays[name].reshape(len(arrays[name]), -1) for name in PARTS]
        counts.setdefault(run.column, {})[run.seed] = np.concatenate(flat, 1).astype(np.float64)
    return Network(row, tuple(kept), counts, first or Content())


def methods(spec: TableSpec) -> list[Column]:
    """Columns with the one that others are measured against first, then the one looked at."""
    order = [spec.gain[1], spec.gain[0]]
    known = {column.key: column for column in spec.columns}
    return [known[key] for key in dict.fromkeys([*order, *known])]


def read_networks(spec: TableSpec, runs: Sequence[CellRun]) -> list[Network]:
    """Rows of a table with the counts of their runs.

    Args:
        spec: The table.
        runs: One per cell and seed.
    """
    columns = [column.key for column in methods(spec)]
    return [_network(row, columns, [r for r in runs if r.row == row.key]) for row in spec.rows]


#: Differences of a network to the method that others are measured against, by column.
Gains = Mapping[str, Interval | None]


def _cell(value: float, low: float | None = None, high: float | None = None) -> str:
    """A score, or a difference with its interval, bold where that leaves out zero."""
    if not np.isfinite(value):
        return "–"
    if low is None or high is None:
        return f"{value:.2f}"
    if not np.isfinite(low + high):  # a draw without any object of the size
        return f"{value:+.2f} [–]"
    clear = "**" if low > 0 or high < 0 else ""
    return f"{clear}{value:+.2f}{clear} [{low:+.2f}, {high:+.2f}]"


def areas(edges: Sequence[float]) -> list[str]:
    """Areas of small, medium and large objects in pixels, in words."""
    if not edges:
        return ["–"] * len(SIZES)
    low, high = (f"{edge:.0f}" for edge in edges)
    return [f"≤ {low}", f"≤ {high}", f"> {high}"]


def _block(spec: TableSpec, network: Network, gains: Gains) -> str:
    """Heading and table of a network."""
    base, *others = methods(spec)
    pairs = [[column, base] for column in others]
    head = [
        "",
        *(" − ".join(c.label for c in some) for some in [[c] for c in spec.columns] + pairs),
    ]
    notes = [network.note(*some) for some in [[c] for c in spec.columns] + pairs]
    values = {c.key: network.value(c.key) for c in spec.columns}
    limits = iter(2 * areas(network.content.edges))
    rows = [["Trainings", *notes]]
    for place, line in enumerate(LINES):
        row = [line.format(next(limits)) if "{}" in line else line]
        for column in spec.columns:
            value = values[column.key]
            row.append(_absent(network, column) if value is None else _cell(value[place]))
        for column in others:
            gain = gains[column.key]
            text = "" if gain is None else _cell(*(float(end[place]) for end in gain))
            row.append(text or _absent(network, column))
        rows.append(row)
    table = grid(head, rows, "-" + "x" * len(notes))
    return "\n".join([f"## {network.row.label}", "", *table])


def _absent(network: Network, column: Column) -> str:
    return "not run" if network.row.has(column) else "–"


def _reading(spec: TableSpec, networks: Sequence[Network], gains: Sequence[Gains]) -> str:
    """Networks whose interval lies above or below zero, by method and score."""
    base, *others = methods(spec)
    lines = []
    for column in others:
        cells = sum(network.row.has(column) for network in networks)
        found = [gain for row in gains if (gain := row[column.key]) is not None]
        texts = []
        for name, place in READ.items():
            above = sum(bool(gain.low[place] > 0) for gain in found)
            below = sum(bool(gain.high[place] < 0) for gain in found)
            texts.append(f"{name} {above} above, {below} below")
        lines.append(
            f"- **{column.label} − {base.label}** ({len(found)} of {cells} networks measured): "
            + ("; ".join(texts) if found else "not run")
            + "."
        )
    return "\n".join(lines)


PAGE = """\
# {title} ({scale} scale)

{about}

{purpose}

Numbers are percent over the validation set at the last iterate.

- *mIoU within w px*: over the pixels of depth at most w beside the contours of the truth (trimap);
  void is not counted, here or below.
- *Boundary F*: precision and recall of contour pixels matched within {tolerance:g} % of the image's
  diagonal (Csurka et al. 2013), over the set, mean over classes.
- *Boundary IoU*: of the bands along the contours of truth and prediction, {dilation:g} % of the
  diagonal wide (Cheng et al. 2021), mean over classes.
- *Objects*: 8-connected components of the classes of the truth but background, parted at the thirds
  of their areas over the set; the areas stand in the lines. *Recall* is the share of an object's
  pixels that are found, *IoU* takes what is predicted beyond it into account; means over objects.

Counts of an image are summed over the trainings (seeds) of a method. A difference is over the
seeds that both methods have, and so may not be that of the columns where one has more. In brackets
are 95 % intervals of the paired bootstrap over images ({resamples} draws), **bold** where they
leave out zero. They say how a difference varies with the images, not with the training: for that
see the intervals over seeds of Table 1.

## Reading

By a fixed rule: networks whose interval lies above or below zero. One of 20 intervals leaves out
zero by chance where there is no difference.

{reading}

![IoU by distance to the contour, recall and IoU by size of object]({name}.svg)

The methods share their images: judge by the intervals of the differences below, not by whether
those of the picture overlap.

{blocks}

{runs}
"""


def render_details(spec: TableSpec, scale: str, about: str, runs: Sequence[CellRun]) -> str:
    """The whole Markdown page.

    Args:
        spec: Rows and columns.
        scale: Scale of the runs.
        about: What the scale is and how it departs from the paper.
        runs: One per cell and seed; records hold ``details``. Those made by other code are marked
            stale, those of other images are left out and marked not comparable.
    """
    networks = read_networks(spec, runs)
    base, *others = methods(spec)
    gains = [{c.key: network.interval(c.key, base.key) for c in others} for network in networks]
    return PAGE.format(
        title=spec.title,
        scale=scale,
        about=about,
        purpose=spec.about,
        tolerance=100 * TOLERANCE,
        dilation=100 * DILATION,
        resamples=RESAMPLES,
        reading=_reading(spec, networks, gains),
        name=spec.name,
        blocks="\n\n".join(
            _block(spec, network, gain) for network, gain in zip(networks, gains, strict=True)
        ),
        runs=runs_section([run for network in networks for run in network.runs]),
    )
