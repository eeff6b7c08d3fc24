"""Words of the command line, but for those of LightningCLI's commands."""

import argparse
import re
from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Never

from reproduce import __version__
from reproduce.errors import UserError
from reproduce.experiments import REPOSITORY, SCALES

LIGHTNING_COMMANDS = ("fit", "validate", "test", "predict")

#: Adds a command: its name and what it does.
Command = Callable[[str, str], argparse.ArgumentParser]


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, without the usage."""

    def error(self, message: str) -> Never:
        """Raise.

        Raises:
            UserError: Always.
        """
        raise UserError(f"{message}: see {self.prog} --help")


def _shape(text: str) -> tuple[int, int, int, int]:
    numbers = tuple(int(word) for word in text.split(","))
    if len(numbers) != 4 or min(numbers) < 1:
        raise argparse.ArgumentTypeError(f"expected B,C,H,W, got {text!r}")
    return numbers


def _add_bench(bench: argparse.ArgumentParser) -> None:
    bench.add_argument("what", choices=("loss", "step", "crf"))
    bench.add_argument(
        "--shape",
        type=_shape,
        action="append",
        default=[],
        metavar="B,C,H,W",
        help="logits, instead of the usual shapes and how time grows (loss; repeatable)",
    )
    bench.add_argument("--rounds", type=int, help="most rounds (default: loss 9, step 15, crf 5)")
    bench.add_argument(
        "--budget", type=float, default=20.0, help="seconds a contestant may take (loss, crf)"
    )
    bench.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    bench.add_argument("--out", type=Path, help="folder for bench_WHAT.md and .json")


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Options of a command line.

    Raises:
        UserError: If it is none; an unknown option is answered with the command's nearest one.
    """
    parser, commands = build_parser()
    options, unknown = parser.parse_known_args(arguments)
    if unknown:
        command, hint = commands[options.command], ""
        known = re.findall("--[a-z-]+", command.format_help())
        if near := get_close_matches(unknown[0].partition("=")[0], known, n=1):
            hint = f" (did you mean {near[0]}?)"
        command.error(f"unrecognized arguments: {' '.join(unknown)}{hint}")
    return options


def build_parser() -> tuple[Parser, Mapping[str, argparse.ArgumentParser]]:
    """The parser of everything but LightningCLI's commands, and those of its commands."""
    parser = Parser(
        "reproduce",
        description="Reproduction suite of 'CNN-based Semantic Segmentation using Level Set Loss'.",
        epilog="fit, validate, test, predict --config FILE: LightningCLI over the same YAML that "
        "'reproduce config' prints.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name: str, text: str) -> argparse.ArgumentParser:
        return commands.add_parser(name, help=text, description=text, allow_abbrev=False)

    _add_table(command)
    config = command("config", "print the full YAML of one cell")
    config.add_argument("experiment", help="such as table1/fcn32s_resnet101/level_set")
    config.add_argument("--seed", type=int, default=0)
    _add_scale(config)
    runs = command("runs", "what is logged")
    runs.add_argument("action", choices=("list", "show", "verify"))
    runs.add_argument("id", nargs="?")
    runs.add_argument("--runs", type=Path, default=Path("runs"))
    data = command("data", "fetch or generate a data set, or check every file of one")
    data.add_argument("action", choices=("prepare", "verify"), help="prepare verifies at its end")
    data.add_argument("name", help="such as shapes or voc (docs/data.md), or MODULE.CLASS of yours")
    data.add_argument("--data", type=Path, help="its root (default: data; generated: data/NAME)")
    data.add_argument("--runs", type=Path, default=Path("runs"), help="where checks are remembered")
    _add_bench(command("bench", "ratios of time and memory, measured in one process"))
    check = command("check", "that committed pages are what their records give")
    check.add_argument("--out", type=Path, default=REPOSITORY / "tables", help="folder of tables")
    claims = command("claims", "write docs/reproduction.md and the README's table")
    claims.add_argument("--tables", type=Path, default=REPOSITORY / "tables", help="their folder")
    report = command("report", "one HTML page of all tables and their runs")
    report.add_argument("--scale", choices=SCALES, default="demo")
    report.add_argument("--out", type=Path, default=Path("build/report.html"), help="the page")
    report.add_argument("--tables", type=Path, default=REPOSITORY / "tables", help="their folder")
    report.add_argument("--runs", type=Path, default=Path("runs"), help="networks for pictures")
    report.add_argument("--data", type=Path, help="root of the data set, for pictures")
    figures = command("figures", "the paper's figures from logged runs, SVG and PNG")
    figures.add_argument("--scale", choices=SCALES, default="demo")
    figures.add_argument("--tables", type=Path, default=REPOSITORY / "tables", help="their folder")
    figures.add_argument("--runs", type=Path, default=Path("runs"), help="networks for pictures")
    figures.add_argument("--data", type=Path, help="root of the data set, for pictures")
    figures.add_argument("--out", type=Path, help="folder (default: TABLES/SCALE/figures)")
    _add_own_pictures(command)
    for name in LIGHTNING_COMMANDS:
        commands.add_parser(name, help=f"LightningCLI's {name}", add_help=False)
    return parser, commands.choices


def _add_scale(command: argparse.ArgumentParser) -> None:
    command.add_argument("--scale", choices=SCALES, default="demo")
    command.add_argument("--data", type=Path, help="root of the data set")


def _add_table(command: Command) -> None:
    table = command("table", "run what a table lacks, write and print it")
    table.add_argument("name", help="table1, or 1")
    table.add_argument("--seeds", type=int, default=3)
    table.add_argument("--runs", type=Path, default=Path("runs"))
    table.add_argument("--out", type=Path, default=REPOSITORY / "tables", help="folder of tables")
    table.add_argument("--only", default="*", metavar="GLOBS", help="rows, or ROW/COLUMN")
    table.add_argument("--no-train", action="store_true", help="render only what is logged")
    table.add_argument(
        "--source", default="local", help="wandb:ENTITY/PROJECT: render only what is logged there"
    )
    table.add_argument("--dry-run", action="store_true", help="list what exists and would run")
    table.add_argument("--jobs", type=int, default=0, help="runs side by side (default: cores)")
    table.add_argument("--wandb", default="auto", help="auto, online, offline or off")
    table.add_argument(
        "--wandb-checkpoints", action="store_true", help="mirror the best and last network too"
    )
    table.add_argument("--no-retry", action="store_true", help="leave failed runs as they are")
    table.add_argument(
        "--launcher",
        choices=("local", "slurm"),
        default="local",
        help="slurm: submit what is missing; --slurm.KEY=VALUE gives options of sbatch",
    )
    _add_scale(table)


def _add_own_pictures(command: Command) -> None:
    """``segment`` and ``export``."""
    segment = command("segment", "label your own pictures with a trained network")
    segment.add_argument("pictures", type=Path, nargs="+", metavar="IMAGE_OR_FOLDER")
    network = "a run's folder or id, its last.ckpt, or an exported file"
    segment.add_argument("--checkpoint", type=Path, required=True, help=network)
    segment.add_argument("--out", type=Path, required=True, help="folder of the results")
    segment.add_argument("--crf", action="store_true", help="refine by the CRF")
    segment.add_argument("--level-set", metavar="CLASS", help="draw its level set function too")
    segment.add_argument("--tile", type=int, default=1024, help="side of the tiles (default: 1024)")
    export = command("export", "a trained network as one file, with a model card")
    export.add_argument("run_folder", type=Path, metavar="RUN", help="its folder or id")
    export.add_argument("--out", type=Path, required=True, metavar="FILE.safetensors")
    for sub in (segment, export):
        text = "a module of yours whose classes the checkpoint may name (repeatable)"
        sub.add_argument("--allow", action="append", default=[], metavar="MODULE", help=text)
