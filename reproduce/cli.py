"""The command line: ``reproduce``, also ``python -m reproduce``. Heavy packages load late."""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from reproduce import __version__
from reproduce.errors import UserError
from reproduce.experiments import REPOSITORY, SCALES

LIGHTNING_COMMANDS = ("fit", "validate", "test", "predict")


def _table(options: argparse.Namespace) -> int:
    from reproduce.tables.driver import Request, make_table

    request = Request(
        name=options.name,
        scale=options.scale,
        seeds=options.seeds,
        data=options.data,
        runs=options.runs,
        out=options.out,
        only=options.only,
        train=not options.no_train,
        jobs=options.jobs,
        wandb=options.wandb,
        flags=options.flags,
    )
    if options.dry_run:
        from reproduce.tables.dry_run import dry_run

        print(dry_run(request))
        return 0
    return make_table(request)


def _config(options: argparse.Namespace) -> int:
    import yaml

    from reproduce.experiments import read_table
    from reproduce.runs.plan import cell_config, trainer_overrides

    parts = options.experiment.split("/", 1)
    if len(parts) != 2:
        raise UserError(f"expected TABLE/ROW/COLUMN, got {options.experiment!r}")
    table = read_table(parts[0], options.scale)
    row, column = next(table.cells(parts[1]))
    flags = trainer_overrides(options.flags)
    config = cell_config(table, row, column, options.scale, options.seed, flags)
    if options.data is not None:
        config["data"]["init_args"]["root"] = str(options.data)
    print(yaml.safe_dump(config, sort_keys=False), end="")
    return 0


def _runs(options: argparse.Namespace) -> int:
    from reproduce.runs.report import list_runs, show_run, verify_runs

    if options.action == "show":
        if options.id is None:
            raise UserError("expected the id of a run: see reproduce runs list")
        print(show_run(options.runs, options.id))
        return 0
    if options.action == "verify":
        text, bad = verify_runs(options.runs)
        print(text)
        return 1 if bad else 0
    print(list_runs(options.runs))
    return 0


def _data(options: argparse.Namespace) -> int:
    from reproduce.data.catalog import DATA_SETS
    from reproduce.data.verify import verify

    known = {data.name: data for data in DATA_SETS.values()}
    if options.name not in known:
        raise UserError(f"unknown data {options.name!r}: expected one of {', '.join(known)}")
    data = known[options.name]
    root = options.data or (Path("data") / data.name if data.make else Path("data"))
    if options.action == "prepare":
        from reproduce.data.prepare import prepare

        prepare(data, root)
    print(verify(data, root, options.runs / ".manifests"))
    return 0


def _bench(options: argparse.Namespace) -> int:
    from reproduce.bench import bench_loss

    print(bench_loss(options.shape, options.rounds, options.out))
    return 0


def _check(options: argparse.Namespace) -> int:
    from reproduce.tables.check import check_tables

    print(check_tables(options.out))
    return 0


def _shape(text: str) -> tuple[int, int, int, int]:
    numbers = tuple(int(word) for word in text.split(","))
    if len(numbers) != 4 or min(numbers) < 1:
        raise argparse.ArgumentTypeError(f"expected B,C,H,W, got {text!r}")
    return numbers


def build_parser() -> argparse.ArgumentParser:
    """The parser of everything but LightningCLI's commands."""
    parser = argparse.ArgumentParser(
        "reproduce",
        description="Reproduction suite of 'CNN-based Semantic Segmentation using Level Set Loss'.",
        epilog="fit, validate, test, predict --config FILE: LightningCLI over the same YAML that "
        "'reproduce config' prints.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(
        name: str, run: Callable[[argparse.Namespace], int], text: str
    ) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=text, description=text, allow_abbrev=False)
        sub.set_defaults(run=run)
        return sub

    table = command("table", _table, "run what a table lacks, write and print it")
    table.add_argument("name", help="table1, or 1")
    table.add_argument("--seeds", type=int, default=3)
    table.add_argument("--runs", type=Path, default=Path("runs"))
    table.add_argument("--out", type=Path, default=REPOSITORY / "tables", help="folder of tables")
    table.add_argument("--only", default="*", metavar="GLOBS", help="rows, or ROW/COLUMN")
    table.add_argument("--no-train", action="store_true", help="render only what is logged")
    table.add_argument("--dry-run", action="store_true", help="list what exists and would run")
    table.add_argument("--jobs", type=int, default=0, help="runs side by side (default: cores)")
    table.add_argument("--wandb", default="auto", help="auto, online, offline or off")
    table.add_argument("--launcher", choices=("local",), default="local")
    config = command("config", _config, "print the full YAML of one cell")
    config.add_argument("experiment", help="such as table1/fcn32s_resnet101/level_set")
    config.add_argument("--seed", type=int, default=0)
    for sub in (table, config):
        sub.add_argument("--scale", choices=SCALES, default="demo")
        sub.add_argument("--data", type=Path, help="root of the data set")
    runs = command("runs", _runs, "what is logged")
    runs.add_argument("action", choices=("list", "show", "verify"))
    runs.add_argument("id", nargs="?")
    runs.add_argument("--runs", type=Path, default=Path("runs"))
    data = command("data", _data, "fetch or generate a data set, or check every file of one")
    data.add_argument("action", choices=("prepare", "verify"), help="prepare verifies at its end")
    data.add_argument("name", help="such as shapes, voc or camvid: docs/data.md lists them")
    data.add_argument("--data", type=Path, help="its root (default: data; generated: data/NAME)")
    data.add_argument("--runs", type=Path, default=Path("runs"), help="where checks are remembered")
    bench = command("bench", _bench, "time and memory of the loss against cross-entropy")
    bench.add_argument("what", choices=("loss",))
    bench.add_argument("--shape", type=_shape, default=(10, 21, 321, 321), metavar="B,C,H,W")
    bench.add_argument("--rounds", type=int, default=9)
    bench.add_argument("--out", type=Path, help="folder for bench_loss.md and .json")
    check = command("check", _check, "that committed tables are what their records give")
    check.add_argument("--out", type=Path, default=REPOSITORY / "tables", help="folder of tables")
    for name in LIGHTNING_COMMANDS:
        commands.add_parser(name, help=f"LightningCLI's {name}", add_help=False)
    return parser


def _dispatch(arguments: list[str]) -> int:
    if arguments and arguments[0] in LIGHTNING_COMMANDS:
        from reproduce.lightning_cli import run_command

        return run_command(arguments)
    flags: list[str] = []
    if "--" in arguments:
        cut = arguments.index("--")
        arguments, flags = arguments[:cut], arguments[cut + 1 :]
    options = build_parser().parse_args(arguments)
    if flags and options.command not in ("table", "config"):
        raise UserError(f"{options.command} takes no Lightning flags")
    options.flags = flags
    status: int = options.run(options)
    return status


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: Words after the program's name; default those of the process.

    Returns:
        Exit status: 0 done, 1 some runs failed, 2 the user's mistake (one line, no traceback).
    """
    try:
        return _dispatch(list(sys.argv[1:] if arguments is None else arguments))
    except UserError as error:
        print(f"reproduce: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        # The reader (head, say) has what it wanted; Python would complain again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        print(f"reproduce: {error}: free space or choose another folder", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("reproduce: interrupted; the same command goes on", file=sys.stderr)
        return 130
