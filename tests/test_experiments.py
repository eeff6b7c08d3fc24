"""Every fragment and every cell: composed, explicit, instantiated and fast-run."""

import inspect
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from reproduce import data as data_modules
from reproduce import losses, models
from reproduce.errors import UserError
from reproduce.evaluations import kind, training_config
from reproduce.experiments import (
    EXPERIMENTS,
    SCALES,
    change_callback,
    compose,
    merge,
    read_table,
    read_yaml,
    table_names,
)
from reproduce.runs.identity import config_hash
from reproduce.runs.job import write_job
from reproduce.runs.plan import cell_config, plan, trainer_overrides
from tests.conftest import make_camvid, make_cityscapes, make_context, make_sbd, make_voc

ARCHITECTURES = sorted(p.stem for p in (EXPERIMENTS / "arch").glob("*.yaml"))
LOSSES = sorted(p.stem for p in (EXPERIMENTS / "loss").glob("*.yaml"))
CELLS = [
    (f"{name}/{row.key}/{column.key}", scale)
    for scale in SCALES
    for name in table_names()
    for row, column in read_table(name, scale).cells()
]


def trainings(cells: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """The first cell of each configuration that is trained."""
    first: dict[tuple[str, str], tuple[str, str]] = {}
    for cell, scale in cells:
        config = config_of(cell, scale)
        if kind(config) == "training":
            first.setdefault((config_hash(training_config(config)), scale), (cell, scale))
    return list(first.values())


def config_of(cell: str, scale: str) -> dict[str, Any]:
    name, key = cell.split("/", 1)
    table = read_table(name, scale)
    row, column = next(table.cells(key))
    return cell_config(table, row, column, scale, 0, {})


#: What the paper's tables train; the other tables change one option of theirs.
TABLE_CELLS = trainings([(cell, scale) for cell, scale in CELLS if cell.startswith("table")])
OTHER_CELLS = sorted(set(trainings([(c, s) for c, s in CELLS if s == "demo"])) - set(TABLE_CELLS))


@pytest.fixture(scope="module")
def roots(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("data")
    return {
        "VOCDataModule": make_sbd(make_voc(folder / "voc")),
        "ShapesDataModule": make_voc(folder / "shapes", classes=7),
        "CamVidDataModule": make_camvid(folder / "camvid"),
        "ContextDataModule": make_context(folder / "context"),
        "ClutterDataModule": folder / "clutter",
        "CityscapesDataModule": make_cityscapes(folder / "cityscapes"),
        "StreetsDataModule": make_cityscapes(folder / "streets"),
    }


def fast_run(config: dict[str, Any], roots: dict[str, Path]) -> Any:
    """One training and one validation step on tiny crops; the Lightning trainer afterwards."""
    from reproduce.lightning_cli import build_cli

    root = roots[config["data"]["class_path"].rpartition(".")[2]]
    small: dict[str, Any] = {
        "model": {"init_args": {"weights": None}},
        "data": {"init_args": {"root": str(root), "batch_size": 2, "crop": 65, "num_workers": 0}},
        "trainer": {"accelerator": "cpu", "fast_dev_run": True},
    }
    small["data"]["init_args"]["val_batch_size"] = 1
    cli = build_cli(
        merge(training_config(config), small),
        {"enable_progress_bar": False, "enable_model_summary": False},
    )
    cli.trainer.fit(cli.model, cli.datamodule)
    return cli.trainer


@pytest.mark.parametrize(("cell", "scale"), [c for c in TABLE_CELLS if c[1] != "paper"])
def test_cells_run(cell: str, scale: str, roots: dict[str, Path]) -> None:
    trainer = fast_run(config_of(cell, scale), roots)
    assert trainer.global_step == 1
    assert 0 <= trainer.callback_metrics["val/miou"] <= 100


@pytest.mark.parametrize("cell", [cell for cell, _ in OTHER_CELLS])
def test_other_cells_run(cell: str, roots: dict[str, Path]) -> None:
    assert fast_run(config_of(cell, "demo"), roots).global_step == 1


@pytest.mark.parametrize("cell", [c for c, s in TABLE_CELLS if s == "paper"])
def test_paper_cells_leave_checkpoint_and_record(
    cell: str, roots: dict[str, Path], tmp_path: Path
) -> None:
    """The whole way of a run, with ResNet-101 and VGG-16 at their true size on tiny crops."""
    from reproduce.runs.execute import base_record, execute
    from reproduce.runs.record import read_record, write_record

    name, key = cell.split("/", 1)
    table = read_table(name, "paper")
    module = config_of(cell, "paper")["data"]["class_path"].rpartition(".")[2]
    small = ["--model.init_args.weights=null", "--data.init_args.crop=65", "--trainer.max_steps=1"]
    small += ["--trainer.val_check_interval=1", "--data.init_args.batch_size=2"]
    small += ["--trainer.accelerator=cpu", "--data.init_args.num_workers=0"]
    (job,) = plan(
        table,
        scale="paper",
        seeds=1,
        runs=tmp_path,
        data=roots[module],
        only=key,
        overrides=small,
    )
    job = replace(job, config=training_config(job.config), needs={})  # without choosing a weight
    described = write_job(job, threads=2, wandb="off")
    record = {**base_record(described), **execute(job.folder)}
    write_record(job.folder / "record.json", record)
    assert read_record(job.folder / "record.json")["timing"]["steps"] == 1
    state = torch.load(job.folder / "last.ckpt", weights_only=True, map_location="cpu")
    assert state["global_step"] == 1
    shutil.rmtree(job.folder)  # a third of a gigabyte


@pytest.mark.parametrize("loss", LOSSES)
def test_losses_run(loss: str, roots: dict[str, Path]) -> None:
    trainer = fast_run(compose(ARCHITECTURES[0], "voc", loss, "demo"), roots)
    assert trainer.global_step == 1


@pytest.mark.parametrize(("cell", "scale"), CELLS)
def test_cells_are_explicit(cell: str, scale: str) -> None:
    """No option that changes a result is left to a default of the code."""
    config = config_of(cell, scale)
    model = getattr(models, config["model"]["class_path"].rpartition(".")[2])
    options = set(inspect.signature(models.SegmentationModule.__init__).parameters)
    options |= set(inspect.signature(model.__init__).parameters)
    options -= {"self", "options", "criterion"}
    assert options == set(config["model"]["init_args"]) - {"criterion"}
    if "criterion" in config["model"]["init_args"]:
        rival = config["model"]["init_args"]["criterion"]["init_args"]["rival"]
        loss = getattr(losses, rival["class_path"].rpartition(".")[2])
        wanted = set(inspect.signature(loss.__init__).parameters) - {"self", "ignore_index"}
        assert wanted == set(rival.get("init_args", {}))
    recipe = set(config["model"]["init_args"]["recipe"])
    unused = {"poly": {"milestones", "gamma"}, "step": {"power"}}
    unused["constant"] = {"milestones", "gamma", "power"}
    needed = set(inspect.signature(models.Recipe).parameters)
    assert needed - recipe <= unused[config["model"]["init_args"]["recipe"]["policy"]]
    module = getattr(data_modules, config["data"]["class_path"].rpartition(".")[2])
    wanted = set(inspect.signature(module.__init__).parameters) - {"self", "seed"}
    assert wanted - set(config["data"]["init_args"]) <= {"val_batch_size"}


def test_pairs_differ_in_the_loss_alone() -> None:
    for name in table_names():
        table = read_table(name, "demo")
        for row in table.rows:
            base, ours = (config_of(f"{name}/{row.key}/{c}", "demo") for c in table.gain[::-1])
            for config in (base, ours):
                config["trainer"].pop("callbacks", None)
                config["model"]["init_args"].pop("criterion", None)
                config.pop("choose", None)
            assert base == ours


def test_every_fragment_is_used_and_says_what_it_is() -> None:
    for path in EXPERIMENTS.rglob("*.yaml"):
        assert path.read_text().startswith("# "), f"{path} does not say what it is"
    losses = {(r.loss, c.loss) for n in table_names() for r, c in read_table(n).cells()}
    assert {own if loss == "row" else loss for own, loss in losses} == set(LOSSES)
    used = {row.arch for name in table_names() for row in read_table(name).rows}
    assert used == set(ARCHITECTURES)
    assert {p.stem for p in (EXPERIMENTS / "scale").glob("*.yaml")} == set(SCALES)


def test_table_1_has_the_papers_gains() -> None:
    rows = {row.label: row.paper for row in read_table("1").rows}
    gains = {k: round(v["level_set"] - v["baseline"], 1) for k, v in rows.items()}
    assert gains["FCN-32s-ResNet101"] == 3.8
    assert gains["DeepLab-ResNet101"] == 1.4
    assert len(rows) == 7


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return Path(shutil.copytree(EXPERIMENTS, tmp_path / "experiments"))


def edit(path: Path, change: Any) -> None:
    value = yaml.safe_load(path.read_text())
    change(value)
    path.write_text(yaml.safe_dump(value))


@pytest.mark.parametrize(
    ("file", "change", "message"),
    [
        ("table1.yaml", lambda v: v.update(colums={}), r"table1.yaml: unknown key 'colums'"),
        ("table1.yaml", lambda v: v.pop("gain"), r"table1.yaml: expected title, data, rows"),
        (
            "table1.yaml",
            lambda v: v["rows"]["deeplab_largefov"].update(architecture="x"),
            r"unknown key 'architecture', expected arch, choose, columns",
        ),
        ("arch/fcn32s_resnet101.yaml", lambda v: v.update(modle={}), r"unknown key 'modle'"),
        (
            "scale/demo.yaml",
            lambda v: v["all"]["model"].update(class_path="reproduce.models.FCN"),
            r"class_path .* may not be replaced by reproduce.models.FCN",
        ),
    ],
)
def test_mistakes_in_files(copy: Path, file: str, change: Any, message: str) -> None:
    edit(copy / file, change)

    def compose_all() -> None:
        for row, column in read_table("table1", folder=copy).cells():
            compose(row.arch, "voc", column.loss or "", "demo", copy)

    with pytest.raises(UserError, match=message):
        compose_all()


def test_mistakes_in_names(copy: Path) -> None:
    with pytest.raises(UserError, match="unknown table 'table9': expected one of ablations"):
        read_table("9")
    with pytest.raises(UserError, match=r"no arch/alexnet.yaml: expected one of deeplab_largefov"):
        compose("alexnet", "voc", "level_set", "demo")
    with pytest.raises(UserError, match=r"no data/ade20k.yaml: expected one of camvid"):
        compose("fcn8s_resnet101", "ade20k", "level_set", "demo")
    with pytest.raises(UserError, match=r"--only fcn64 matches nothing .* fcn32s_resnet101"):
        read_table("1").cells("fcn64")
    (copy / "table1.yaml").write_text("rows: [")
    with pytest.raises(UserError, match="is no YAML"):
        read_yaml(copy / "table1.yaml")


def test_unsafe_yaml_is_refused(copy: Path) -> None:
    (copy / "table1.yaml").write_text("title: !!python/object/apply:os.getcwd []\n")
    with pytest.raises(UserError, match="is no YAML"):
        read_table("table1", folder=copy)


def test_globs() -> None:
    def found(only: str) -> list[str]:
        return [f"{row.key}/{column.key}" for row, column in read_table("1").cells(only)]

    assert found("fcn32s*") == ["fcn32s_resnet101/baseline", "fcn32s_resnet101/level_set"]
    assert found("FCN-8s-ResNet101") == ["fcn8s_resnet101/baseline", "fcn8s_resnet101/level_set"]
    assert len(found("*/level_set")) == 7
    assert len(found("fcn8s*,deeplab_largefov")) == 5


def test_callbacks_are_added_to_those_of_a_cell() -> None:
    flags = ["--trainer.callbacks+=reproduce.callbacks.Compile", "--trainer.devices=2"]
    flags += ["--trainer.callbacks+={class_path: lightning.pytorch.callbacks.Timer}"]
    table = read_table("1")
    row, column = next(table.cells("fcn32s_resnet101/baseline"))
    plain, found = (
        cell_config(table, row, column, "demo", 0, trainer_overrides(f)) for f in ([], flags)
    )
    added = ["reproduce.callbacks.Compile", "lightning.pytorch.callbacks.Timer"]
    expected = [*plain["trainer"]["callbacks"], *({"class_path": path} for path in added)]
    assert found["trainer"]["callbacks"] == expected
    assert merge({}, {"a+": [1]}) == {"a": [1]}


def test_overrides() -> None:
    assert trainer_overrides(["--trainer.devices=2", "--model.init_args.recipe.lr", "0.5"]) == {
        "trainer": {"devices": 2},
        "model": {"init_args": {"recipe": {"lr": 0.5}}},
    }
    for wrong in (["devices=2"], ["--devices=2"], ["--trainer.devices"]):
        with pytest.raises(UserError, match="expected a"):
            trainer_overrides(wrong)


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("--model.init_args.trunc=thin", "trunc"),
        ("--trainer.max_stepps=3", "max_stepps"),
        ("--data.init_args.flip=wide", "flip"),
    ],
)
def test_misspelt_options_are_named(flag: str, message: str, roots: dict[str, Path]) -> None:
    config = merge(config_of(*CELLS[0]), trainer_overrides([flag]))
    with pytest.raises(UserError, match=message) as caught:
        fast_run(config, roots)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


def test_rows_of_other_scales_are_left_out() -> None:
    keys = {scale: {row.key for row in read_table("ablations", scale).rows} for scale in SCALES}
    assert "resnet101_imagenet" in keys["paper"]
    assert "resnet101_imagenet" not in keys["demo"] | keys["lite"]


def test_ablations_change_what_they_say() -> None:
    def callback(cell: str) -> dict[str, Any]:
        options = config_of(cell, "demo")["trainer"]["callbacks"][0]["init_args"]
        return dict(options)

    default = callback("ablations/default/level_set")
    changed = callback("ablations/batch_means/level_set")
    assert changed["reading"] == {**default["reading"], "means": "batch"}
    assert callback("ablations/batch_means/baseline") == callback("ablations/default/baseline")
    base = config_of("ablations/grid_32/baseline", "demo")
    assert base["model"]["init_args"]["loss_stride"] == 32
    assert config_of("ablations/default/level_set", "demo") == config_of(
        "table1/fcn32s_resnet101/level_set", "demo"
    )
    with pytest.raises(UserError, match=r"expected one Swa under trainer.callbacks, found 0"):
        change_callback(base, "Swa", {})


def test_the_sensitivity_map_has_every_pair() -> None:
    rows = read_table("ablations").sensitivity
    pairs = {(row.level_set.get("lam", 4e-4), row.level_set.get("eps", 0.05)) for row in rows}
    assert pairs == {(lam, eps) for lam in (4e-5, 4e-4, 4e-3) for eps in (0.02, 0.05, 0.2)}
    assert read_table("1").sensitivity == []
