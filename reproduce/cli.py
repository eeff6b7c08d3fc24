"""The command line: ``reproduce``, also ``python -m reproduce``. Heavy packages load late."""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from reproduce.arguments import LIGHTNING_COMMANDS, parse
from reproduce.errors import UserError
from reproduce.experiments import REPOSITORY
from reproduce.own import search_here


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


#: What each command does; LightningCLI has its own.
COMMANDS: dict[str, Callable[[argparse.Namespace], int]] = {
    "table": _table,
    "config": _config,
    "runs": _runs,
    "data": _data,
    "bench": _bench,
    "check": _check,
    "claims": _claims,
    "report": _report,
    "figures": _figures,
    "segment": _segment,
    "export": _export,
}


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
    options = parse(arguments)
    if slurm and options.command != "table":
        raise UserError(f"{options.command} takes no {slurm[0]}")
    options.slurm = slurm
    if flags and options.command not in ("table", "config"):
        raise UserError(f"{options.command} takes no Lightning flags")
    options.flags = flags
    return COMMANDS[options.command](options)


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
