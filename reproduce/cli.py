"""The command line: ``reproduce``, also ``python -m reproduce``. Heavy packages load late."""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Never

from reproduce import __version__
from reproduce.errors import UserError
from reproduce.experiments import REPOSITORY, SCALES
from reproduce.own import search_here

LIGHTNING_COMMANDS = ("fit", "validate", "test", "predict")


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, without the usage."""

    def error(self, message: str) -> Never:
        raise UserError(f"{message}: see {self.prog} --help")


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
        wandb_checkpoints=options.wandb_checkpoints,
        flags=options.flags,
        launcher=options.launcher,
        slurm=_slurm_options(options.slurm, options.launcher),
        retry=not options.no_retry,
        source=options.source,
    )
    if options.dry_run and options.source != "local":
        raise UserError(f"--dry-run lists what would run; with --source {options.source} none does")
    if options.dry_run:
        from reproduce.tables.dry_run import dry_run

        print(dry_run(request))
        return 0
    return make_table(request)


def _slurm_options(words: Sequence[str], launcher: str) -> dict[str, str | bool]:
    """``--slurm.KEY=VALUE`` as options of sbatch; a word without a value is a switch."""
    if words and launcher != "slurm":
        raise UserError(f"{words[0]} needs --launcher slurm (or LAUNCHER=slurm)")
    pairs = [word.removeprefix("--slurm.").partition("=") for word in words]
    return {key.replace("-", "_"): value if equals else True for key, equals, value in pairs}


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
    from reproduce.data.catalog import DATA_SETS, data_set
    from reproduce.data.verify import verify

    known = {data.name: data for data in DATA_SETS.values()}
    if options.name not in known and "." not in options.name:
        raise UserError(f"unknown data {options.name!r}: expected one of {', '.join(known)}")
    data = known[options.name] if options.name in known else data_set(options.name)
    root = options.data or (Path("data") / data.name if data.make else Path("data"))
    if options.action == "prepare":
        from reproduce.data.prepare import prepare

        prepare(data, root)
    print(verify(data, root, options.runs / ".manifests"))
    return 0


def _bench(options: argparse.Namespace) -> int:
    if options.shape and options.what != "loss":
        raise UserError(f"bench {options.what} takes no --shape: that is for bench loss")
    if options.rounds is not None and options.rounds < 1:
        raise UserError(f"expected at least 1 round, got {options.rounds}: leave --rounds away")
    given = {} if options.rounds is None else {"rounds": options.rounds}
    if options.what == "crf":
        from reproduce.bench.crf import bench_crf

        print(bench_crf(**given, budget=options.budget, out=options.out))
        return 0
    from reproduce.bench.report import choose_device

    place = {"device": choose_device(options.device), "out": options.out}
    if options.what == "step":
        from reproduce.bench.step import bench_step

        print(bench_step(**given, **place))
        return 0
    from reproduce.bench.loss import bench_loss

    print(bench_loss(options.shape, **given, budget=options.budget, **place))
    return 0


def _check(options: argparse.Namespace) -> int:
    from reproduce.tables.check import check_tables

    print(check_tables(options.out))
    if options.out.resolve() == (REPOSITORY / "tables").resolve():
        from reproduce.report.reproduction import check_reproduction

        print(check_reproduction(options.out))
    return 0


def _claims(options: argparse.Namespace) -> int:
    from reproduce.report.reproduction import write_reproduction

    print(write_reproduction(options.tables))
    return 0


def _segment(options: argparse.Namespace) -> int:
    from reproduce.segment.run import Request, segment_pictures

    request = Request(
        checkpoint=options.checkpoint,
        pictures=options.pictures,
        out=options.out,
        crf=options.crf,
        level_set=options.level_set,
        tile=options.tile,
        allow=options.allow,
    )
    return segment_pictures(request)


def _export(options: argparse.Namespace) -> int:
    from reproduce.export import export_network

    print(export_network(options.run_folder, options.out, options.allow))
    return 0


def _report(options: argparse.Namespace) -> int:
    from reproduce.report.page import Request, write_report

    request = Request(options.scale, options.tables, options.out, options.runs, options.data)
    print(write_report(request))
    return 0


def _figures(options: argparse.Namespace) -> int:
    from reproduce.figures.command import Request, make_figures

    where = (options.tables, options.runs, options.data, options.out)
    return make_figures(Request(options.scale, *where))


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


def build_parser() -> argparse.ArgumentParser:
    """The parser of everything but LightningCLI's commands."""
    parser = _Parser(
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
    data.add_argument("name", help="such as shapes or voc (docs/data.md), or MODULE.CLASS of yours")
    data.add_argument("--data", type=Path, help="its root (default: data; generated: data/NAME)")
    data.add_argument("--runs", type=Path, default=Path("runs"), help="where checks are remembered")
    _add_bench(command("bench", _bench, "ratios of time and memory, measured in one process"))
    check = command("check", _check, "that committed pages are what their records give")
    check.add_argument("--out", type=Path, default=REPOSITORY / "tables", help="folder of tables")
    claims = command("claims", _claims, "write docs/reproduction.md and the README's table")
    claims.add_argument("--tables", type=Path, default=REPOSITORY / "tables", help="their folder")
    report = command("report", _report, "one HTML page of all tables and their runs")
    report.add_argument("--scale", choices=SCALES, default="demo")
    report.add_argument("--out", type=Path, default=Path("build/report.html"), help="the page")
    report.add_argument("--tables", type=Path, default=REPOSITORY / "tables", help="their folder")
    report.add_argument("--runs", type=Path, default=Path("runs"), help="networks for pictures")
    report.add_argument("--data", type=Path, help="root of the data set, for pictures")
    figures = command("figures", _figures, "the paper's figures from logged runs, SVG and PNG")
    figures.add_argument("--scale", choices=SCALES, default="demo")
    figures.add_argument("--tables", type=Path, default=REPOSITORY / "tables", help="their folder")
    figures.add_argument("--runs", type=Path, default=Path("runs"), help="networks for pictures")
    figures.add_argument("--data", type=Path, help="root of the data set, for pictures")
    figures.add_argument("--out", type=Path, help="folder (default: TABLES/SCALE/figures)")
    _add_own_pictures(command)
    for name in LIGHTNING_COMMANDS:
        commands.add_parser(name, help=f"LightningCLI's {name}", add_help=False)
    return parser


def _add_own_pictures(command: Callable[..., argparse.ArgumentParser]) -> None:
    """``segment`` and ``export``."""
    segment = command("segment", _segment, "label your own pictures with a trained network")
    segment.add_argument("pictures", type=Path, nargs="+", metavar="IMAGE_OR_FOLDER")
    network = "a run's folder or id, its last.ckpt, or an exported file"
    segment.add_argument("--checkpoint", type=Path, required=True, help=network)
    segment.add_argument("--out", type=Path, required=True, help="folder of the results")
    segment.add_argument("--crf", action="store_true", help="refine by the CRF")
    segment.add_argument("--level-set", metavar="CLASS", help="draw its level set function too")
    segment.add_argument("--tile", type=int, default=1024, help="side of the tiles (default: 1024)")
    export = command("export", _export, "a trained network as one file, with a model card")
    export.add_argument("run_folder", type=Path, metavar="RUN", help="its folder or id")
    export.add_argument("--out", type=Path, required=True, metavar="FILE.safetensors")
    for sub in (segment, export):
        text = "a module of yours whose classes the checkpoint may name (repeatable)"
        sub.add_argument("--allow", action="append", default=[], metavar="MODULE", help=text)


def _dispatch(arguments: list[str]) -> int:
    if arguments and arguments[0] in LIGHTNING_COMMANDS:
        from reproduce.lightning_cli import run_command

        return run_command(arguments)
    flags: list[str] = []
    if "--" in arguments:
        cut = arguments.index("--")
        arguments, flags = arguments[:cut], arguments[cut + 1 :]
    # Make passes on ARGS after the dashes: what is not Lightning's is taken out there.
    slurm = [word for word in (*arguments, *flags) if word.startswith("--slurm.")]
    own = [word for word in flags if word in ("--no-retry", "--wandb-checkpoints")]
    arguments = [word for word in (*arguments, *own) if word not in slurm]
    flags = [word for word in flags if word not in (*slurm, *own)]
    options = build_parser().parse_args(arguments)
    if slurm and options.command != "table":
        raise UserError(f"{options.command} takes no {slurm[0]}")
    options.slurm = slurm
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
    search_here()
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
