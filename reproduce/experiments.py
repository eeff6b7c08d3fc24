"""Experiments: fragments under ``experiments/`` composed into one full configuration each.

A configuration is a plain dictionary that LightningCLI understands. It is made of fragments, later
ones over earlier ones: ``arch/<arch>``, ``data/<data>``, ``loss/<loss>``, then of
``scale/<scale>`` its ``all`` and its ``arch.<arch>``. Only ``arch``, ``data`` and ``loss`` name
classes, each of them once, so that no option of one class is ever carried over to another.
"""

import copy
import fnmatch
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import yaml

from reproduce.errors import UserError

#: The repository, where ``experiments/`` and ``tables/`` are.
REPOSITORY = Path(__file__).resolve().parents[1]
EXPERIMENTS = REPOSITORY / "experiments"

SCALES = ("demo", "lite", "paper")


def read_yaml(path: Path) -> dict[str, Any]:
    """A mapping from a YAML file, safe-loaded.

    Raises:
        UserError: If the file is absent or no mapping.
    """
    try:
        value = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError:
        known = ", ".join(sorted(p.stem for p in path.parent.glob("*.yaml")))
        raise UserError(f"no {path.parent.name}/{path.name}: expected one of {known}") from None
    except yaml.YAMLError as error:
        raise UserError(f"{path} is no YAML: {' '.join(str(error).split())}") from None
    if not isinstance(value, dict):
        raise UserError(f"{path}: expected a mapping, found {type(value).__name__}")
    return value


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """``base`` with the values of ``over``; mappings are merged, everything else is replaced.

    A key that ends in ``+`` adds to a list, as it does on LightningCLI's command line.

    Raises:
        UserError: If ``over`` exchanges a ``class_path``, whose old options would stay behind.
    """
    out = copy.deepcopy(dict(base))
    for key, value in over.items():
        if key.endswith("+"):
            out[key[:-1]] = [*out.get(key[:-1], []), *value]
            continue
        if key == "class_path" and out.get(key, value) != value:
            raise UserError(
                f"class_path {out[key]} may not be replaced by {value}: name each class once"
            )
        both = isinstance(value, Mapping) and isinstance(out.get(key), Mapping)
        out[key] = merge(out[key], value) if both else copy.deepcopy(value)
    return out


def _check_keys(what: str, value: Mapping[str, Any], allowed: set[str]) -> None:
    unknown = sorted(set(value) - allowed)
    if unknown:
        raise UserError(
            f"{what}: unknown key {unknown[0]!r}, expected {', '.join(sorted(allowed))}"
        )


def change_callback(
    config: Mapping[str, Any], name: str, options: Mapping[str, Any]
) -> dict[str, Any]:
    """A configuration with other options of one of its callbacks.

    Args:
        config: Configuration with ``trainer.callbacks``.
        name: Name of the callback's class.
        options: Options to set.

    Raises:
        UserError: If there is no such callback.
    """
    callbacks = config.get("trainer", {}).get("callbacks", [])
    places = [i for i, c in enumerate(callbacks) if c["class_path"].endswith(f".{name}")]
    if len(places) != 1:
        raise UserError(f"expected one {name} under trainer.callbacks, found {len(places)}")
    changed = [
        merge(c, {"init_args": options}) if i in places else c for i, c in enumerate(callbacks)
    ]
    return merge(config, {"trainer": {"callbacks": changed}})


def with_option(config: Mapping[str, Any], path: str, value: object) -> dict[str, Any]:
    """A configuration with another value of one option.

    Args:
        config: Configuration.
        path: Keys joined by dots; a number is a place in a list.
        value: The value.

    Raises:
        UserError: If the configuration has no such option.
    """
    out = copy.deepcopy(dict(config))
    place: Any = out
    *way, last = [int(key) if key.isdigit() else key for key in path.split(".")]
    try:
        for key in way:
            place = place[key]
        place[last]
    except (KeyError, IndexError, TypeError):
        raise UserError(f"the configuration has no option {path}") from None
    place[last] = value
    return out


#: Keys of a file in ``scale/``.
SCALE_KEYS = {"about", "data", "all", "arch", "crf", "choose"}


def compose(
    arch: str, data: str, loss: str, scale: str, folder: Path = EXPERIMENTS
) -> dict[str, Any]:
    """Configuration of one architecture, data set of the paper, loss and scale, without a seed.

    Args:
        arch: Name of a file in ``arch/``.
        data: Data set. The scale may say which file in ``data/`` stands for it; one that it does
            not name stands for itself.
        loss: Name of a file in ``loss/``.
        scale: Name of a file in ``scale/``.
        folder: The folder of experiments.

    Raises:
        UserError: If a fragment is missing or has unknown keys.
    """
    scaling = read_yaml(folder / "scale" / f"{scale}.yaml")
    _check_keys(f"scale/{scale}.yaml", scaling, SCALE_KEYS)
    parts = [
        read_yaml(folder / "arch" / f"{arch}.yaml"),
        read_yaml(folder / "data" / f"{scaling.get('data', {}).get(data, data)}.yaml"),
        read_yaml(folder / "loss" / f"{loss}.yaml"),
        scaling.get("all", {}),
        scaling.get("arch", {}).get(arch, {}),
    ]
    config: dict[str, Any] = {}
    for part in parts:
        _check_keys(f"{arch}, {data}, {loss}, {scale}", part, {"model", "data", "trainer"})
        config = merge(config, part)
    return config


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        key: Name in experiments and records.
        label: Heading.
        loss: Fragment that trains the networks of its cells; ``row``: the one its row names.
        evaluate: What is done with the trained networks (:mod:`reproduce.evaluations`); ``None``:
            the training's own scores are shown.
        seeds: Most seeds of a cell, ``None`` for as many as asked.
    """

    key: str
    label: str
    loss: str
    evaluate: Mapping[str, Any] | None = None
    seeds: int | None = None


@dataclass(frozen=True)
class Row:
    """A row of a table.

    Attributes:
        key: Name in experiments.
        label: Heading, as in the paper.
        arch: Fragment.
        paper: The paper's mIoU in percent by column; a column it has no number for is absent.
        paper_seconds: Its seconds per image by column (Table 4).
        paper_relative: These relative to the first column, as printed.
        config: Changes to the configuration of every column.
        level_set: Changes to the options of the level set callback where the loss is trained.
        scales: Scales at which the row means something.
        columns: Columns that it has a cell in; ``None``: all.
        loss: Fragment for columns whose loss is ``row``.
        choose: Option that is chosen for these columns on a part of the training images:
            ``option``, its path in the configuration, and ``values`` to try.
    """

    key: str
    label: str
    arch: str
    paper: Mapping[str, float] = field(default_factory=dict)
    paper_seconds: Mapping[str, float] = field(default_factory=dict)
    paper_relative: Mapping[str, float] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)
    level_set: Mapping[str, Any] = field(default_factory=dict)
    scales: Sequence[str] = SCALES
    columns: Sequence[str] | None = None
    loss: str | None = None
    choose: Mapping[str, Any] | None = None

    def has(self, column: Column) -> bool:
        """Whether the row has a cell in a column."""
        return self.columns is None or column.key in self.columns


@dataclass(frozen=True)
class TableSpec:
    """``experiments/<name>.yaml``.

    Attributes:
        name: Such as ``table1``.
        title: Heading.
        about: What the table is for, where its title does not say it.
        data: Data set of the paper, or a file in ``data/``.
        rows: Rows.
        columns: Columns.
        gain: Column whose gain is looked at, and column it is measured against.
        page: Kind of page, a key of :data:`reproduce.tables.pages.PAGES`.
    """

    name: str
    title: str
    about: str
    data: str
    rows: tuple[Row, ...]
    columns: tuple[Column, ...]
    gain: tuple[str, str]
    page: str = "scores"

    @property
    def in_paper(self) -> bool:
        """Whether the paper has numbers for any row."""
        return any(row.paper for row in self.rows)

    @property
    def sensitivity(self) -> list[Row]:
        """Rows of the first row's network that differ in λ and ε alone, if there are any."""
        first = self.rows[0]
        rows = [
            row
            for row in self.rows
            if row.arch == first.arch
            and not row.config
            and row.loss is None
            and set(row.level_set) <= {"lam", "eps"}
        ]
        return rows if len(rows) > 1 else []

    def cells(self, only: str = "*") -> Iterator[tuple[Row, Column]]:
        """Cells that match one of some globs, separated by commas.

        A glob is compared with ``row``, ``row/column`` and the label of the row.

        Raises:
            UserError: If nothing matches.
        """
        found = [
            (row, column)
            for row in self.rows
            for column in self.columns
            if row.has(column)
            and any(
                fnmatch.fnmatch(name, glob)
                for name in (row.key, f"{row.key}/{column.key}", row.label)
                for glob in only.split(",")
            )
        ]
        if not found:
            raise UserError(
                f"--only {only} matches nothing in {self.name}: expected a glob on "
                f"{', '.join(row.key for row in self.rows)} or on ROW/COLUMN with a column of "
                f"{', '.join(column.key for column in self.columns)}"
            )
        return iter(found)


#: Keys of a row in a file.
ROW_KEYS = {f.name for f in fields(Row)} - {"key"}
COLUMN_KEYS = {f.name for f in fields(Column)} - {"key"}
TABLE_KEYS = {"title", "about", "data", "rows", "columns", "gain", "page"}


def table_names(folder: Path = EXPERIMENTS) -> list[str]:
    """Names of the tables there are."""
    return sorted(path.stem for path in folder.glob("*.yaml"))


def read_table(name: str, scale: str | None = None, folder: Path = EXPERIMENTS) -> TableSpec:
    """Table by name; ``1`` means ``table1``.

    Args:
        name: Name of a file.
        scale: Leave out the rows that mean nothing at this scale.
        folder: The folder of experiments.

    Raises:
        UserError: If there is none, or its file has missing or unknown keys.
    """
    name = f"table{name}" if name.isdigit() else name
    if name not in table_names(folder):
        raise UserError(f"unknown table {name!r}: expected one of {', '.join(table_names(folder))}")
    spec = read_yaml(folder / f"{name}.yaml")
    _check_keys(f"{name}.yaml", spec, TABLE_KEYS)
    try:
        for value in spec["rows"].values():
            _check_keys(f"{name}.yaml, rows", value, ROW_KEYS)
        for value in spec["columns"].values():
            _check_keys(f"{name}.yaml, columns", value, COLUMN_KEYS)
        rows = tuple(Row(str(key), **value) for key, value in spec["rows"].items())
        rows = tuple(row for row in rows if scale is None or scale in row.scales)
        columns = tuple(Column(str(key), **value) for key, value in spec["columns"].items())
        first, second = spec["gain"]
        about = " ".join(str(spec.get("about", "")).split())
        page = spec.get("page", "scores")
        return TableSpec(
            name, spec["title"], about, spec["data"], rows, columns, (first, second), page
        )
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise UserError(
            f"{name}.yaml: expected title, data, rows (label, arch, paper), columns (label, loss) "
            f"and gain, stopped at {error}"
        ) from None
