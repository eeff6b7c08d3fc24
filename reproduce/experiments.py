"""Experiments: fragments under ``experiments/`` composed into one full configuration each.

A configuration is a plain dictionary that LightningCLI understands. It is made of fragments, later
ones over earlier ones: ``arch/<arch>``, ``data/<data>``, ``loss/<loss>``, then of
``scale/<scale>`` its ``all`` and its ``arch.<arch>``. Only ``arch``, ``data`` and ``loss`` name
classes, each of them once, so that no option of one class is ever carried over to another.
"""

import copy
import fnmatch
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
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

    Raises:
        UserError: If ``over`` exchanges a ``class_path``, whose old options would stay behind.
    """
    out = copy.deepcopy(dict(base))
    for key, value in over.items():
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


def compose(
    arch: str, data: str, loss: str, scale: str, folder: Path = EXPERIMENTS
) -> dict[str, Any]:
    """Configuration of one architecture, data set of the paper, loss and scale, without a seed.

    Args:
        arch: Name of a file in ``arch/``.
        data: Data set of the paper; the scale says which file in ``data/`` stands for it.
        loss: Name of a file in ``loss/``.
        scale: Name of a file in ``scale/``.
        folder: The folder of experiments.

    Raises:
        UserError: If a fragment is missing or has unknown keys.
    """
    scaling = read_yaml(folder / "scale" / f"{scale}.yaml")
    _check_keys(f"scale/{scale}.yaml", scaling, {"about", "data", "all", "arch"})
    substitutes = scaling.get("data", {})
    if data not in substitutes:
        raise UserError(f"scale/{scale}.yaml has no data for {data}: add it under data")
    parts = [
        read_yaml(folder / "arch" / f"{arch}.yaml"),
        read_yaml(folder / "data" / f"{substitutes[data]}.yaml"),
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
        loss: Fragment that trains its cells, or ``None`` where nothing is trained for it.
    """

    key: str
    label: str
    loss: str | None


@dataclass(frozen=True)
class Row:
    """A row of a table.

    Attributes:
        key: Name in experiments.
        label: Heading, as in the paper.
        arch: Fragment.
        paper: The paper's mIoU in percent by column; a column it has no number for is absent.
        config: Changes to the configuration of every column.
        level_set: Changes to the options of the level set callback where the loss is trained.
        scales: Scales at which the row means something.
    """

    key: str
    label: str
    arch: str
    paper: Mapping[str, float] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)
    level_set: Mapping[str, Any] = field(default_factory=dict)
    scales: Sequence[str] = SCALES


@dataclass(frozen=True)
class TableSpec:
    """``experiments/<name>.yaml``.

    Attributes:
        name: Such as ``table1``.
        title: Heading.
        about: What the table is for, where its title does not say it.
        data: Data set of the paper.
        rows: Rows.
        columns: Columns.
        gain: Column whose gain is looked at, and column it is measured against.
    """

    name: str
    title: str
    about: str
    data: str
    rows: tuple[Row, ...]
    columns: tuple[Column, ...]
    gain: tuple[str, str]

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
            if row.arch == first.arch and not row.config and set(row.level_set) <= {"lam", "eps"}
        ]
        return rows if len(rows) > 1 else []

    def cells(self, only: str = "*") -> Iterator[tuple[Row, Column]]:
        """Cells that are trained and match one of some globs, separated by commas.

        A glob is compared with ``row``, ``row/column`` and the label of the row.

        Raises:
            UserError: If nothing matches.
        """
        found = [
            (row, column)
            for row in self.rows
            for column in self.columns
            if column.loss is not None
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
                f"{', '.join(column.key for column in self.columns if column.loss)}"
            )
        return iter(found)


#: Keys of a row in a file.
ROW_KEYS = {"label", "arch", "paper", "config", "level_set", "scales"}


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
    _check_keys(f"{name}.yaml", spec, {"title", "about", "data", "rows", "columns", "gain"})
    try:
        for value in spec["rows"].values():
            _check_keys(f"{name}.yaml, rows", value, ROW_KEYS)
        for value in spec["columns"].values():
            _check_keys(f"{name}.yaml, columns", value, {"label", "loss"})
        rows = tuple(Row(str(key), **value) for key, value in spec["rows"].items())
        rows = tuple(row for row in rows if scale is None or scale in row.scales)
        columns = tuple(
            Column(key, value["label"], value.get("loss")) for key, value in spec["columns"].items()
        )
        first, second = spec["gain"]
        about = " ".join(str(spec.get("about", "")).split())
        return TableSpec(name, spec["title"], about, spec["data"], rows, columns, (first, second))
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise UserError(
            f"{name}.yaml: expected title, data, rows (label, arch, paper), columns (label, loss) "
            f"and gain, stopped at {error}"
        ) from None
