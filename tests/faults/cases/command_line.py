"""Wrong words on the command line."""

import pytest

from tests.faults.place import Place
from tests.faults.registry import case, mistakes

AREA = "Command line"


def flagged(*flags: str) -> list[str]:
    """Fitting words for a dry run with flags of Lightning."""
    return ["table", "1", "--dry-run", "--", *flags]


mistakes(
    AREA,
    {
        "`reproduce tabel 1`": lambda _: ["tabel", "1"],
        "`reproduce table 9`": lambda _: ["table", "9"],
        "`--scale huge`": lambda _: ["table", "1", "--scale", "huge"],
        "`--seeds 0`": lambda place: place.words("--seeds", "0"),
        "`--seeds three`": lambda place: place.words("--seeds", "three"),
        "`--jobs -1`": lambda place: place.words("--jobs", "-1"),
        "`--only fcn64`": lambda place: place.words(only="fcn64"),
        "`--on`, which is not taken for `--only`": lambda _: [
            "table",
            "1",
            "--on",
            "fcn8s*",
        ],
        "`--wandb yes`": lambda place: place.words("--wandb", "yes"),
        "`make table1 SCALE=lite` without `DATA`": lambda _: ["table", "1", "--scale", "lite"],
        "`ARGS=--devices=2`": lambda _: flagged("--devices=2"),
        "`ARGS=--trainer.devices`": lambda _: flagged("--trainer.devices"),
        "`ARGS=--trainer.devices=[0`": lambda _: flagged("--trainer.devices=[0"),
        "`ARGS=--model.init_args.trunc=thin`": lambda place: place.words(
            flags=("--model.init_args.trunc=thin",)
        ),
        "`ARGS=--trainer.devices=3`, which does not divide the batch": lambda place: place.words(
            flags=("--trainer.devices=3",)
        ),
        "`ARGS=--model.class_path=os.system`": lambda _: flagged("--model.class_path=os.system"),
        "`--slurm.partition=gpu` without `--launcher slurm`": lambda place: place.words(
            "--slurm.partition=gpu"
        ),
        "`--slurm.partition=gpu` to another command": lambda _: [
            *("runs", "list", "--slurm.partition=gpu"),
        ],
        "`reproduce config fcn32s`": lambda _: ["config", "fcn32s"],
        "`reproduce runs show` without an id": lambda _: ["runs", "show"],
        "`reproduce runs show zz`": lambda place: [
            *("runs", "show", "zz", "--runs", str(place.folder / "runs")),
        ],
        "`reproduce data verify imagenet`": lambda _: ["data", "verify", "imagenet"],
        "`reproduce bench crf --shape 2,5,8,8`": lambda _: ["bench", "crf", "--shape", "2,5,8,8"],
        "`reproduce bench loss --shape 2,5`": lambda _: ["bench", "loss", "--shape", "2,5"],
        "`reproduce bench step --rounds 0`": lambda _: ["bench", "step", "--rounds", "0"],
        "`reproduce fit --trainer.max_stepps=3`": lambda _: ["fit", "--trainer.max_stepps=3"],
        "`reproduce report` before any table": lambda place: [
            *("report", "--tables", str(place.folder / "none")),
        ],
    },
)


@case(AREA, "`RUNS=` names a place that cannot be written")
def unwritable(place: Place) -> str:
    (place.folder / "file").write_text("")
    words = place.words()
    words[words.index("--runs") + 1] = str(place.folder / "file" / "runs")
    return place.mistake(*words)


@case(AREA, "`LAUNCHER=slurm` where there is no Slurm")
def no_slurm(place: Place) -> str:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", str(place.folder))
        return place.mistake(*place.words("--launcher", "slurm"))
