"""Configurations and experiments that are wrong, or that someone else wrote."""

from pathlib import Path

import torch
import yaml

from reproduce.experiments import compose, read_table
from reproduce.models import FCN
from tests.faults.place import Place
from tests.faults.registry import case

AREA = "Configurations"


def fit(place: Place, text: str, *words: str) -> str:
    """What ``reproduce fit`` says of a configuration, without doing anything."""
    path = place.folder / "net.yaml"
    path.write_text(text)
    message = place.mistake("fit", "--config", str(path), *words)
    assert sorted(p.name for p in place.folder.iterdir()) == ["net.yaml"]
    return message


def experiments(place: Place, name: str, text: str) -> Path:
    """A folder of experiments with one file that is wrong."""
    path = place.folder / "experiments" / name
    path.parent.mkdir(parents=True)
    path.write_text(text)
    return place.folder / "experiments"


@case(AREA, "`fit --config nowhere.yaml`")
def absent(place: Place) -> str:
    return place.mistake("fit", "--config", "nowhere.yaml")


@case(AREA, "a configuration that is no YAML")
def no_yaml(place: Place) -> str:
    return fit(place, "model: [")


@case(AREA, "one that is a list")
def a_list(place: Place) -> str:
    return fit(place, "- model")


@case(AREA, "one with a Python object in it (`!!python/object/apply:os.system`)")
def python_object(place: Place) -> str:
    target = place.folder / "ran"
    message = fit(place, f"model: !!python/object/apply:os.system ['touch {target}']")
    return message.partition(" in ")[0]


@case(AREA, "one whose `class_path` is in another package")
def foreign_class(place: Place) -> str:
    return fit(place, yaml.safe_dump({"model": {"class_path": "subprocess.Popen"}}))


@case(AREA, "one whose network does not exist")
def no_such_class(place: Place) -> str:
    return fit(place, yaml.safe_dump({"model": {"class_path": "reproduce.models.FCN64"}}))


@case(AREA, "a table's file with an unknown key")
def unknown_key(place: Place) -> str:
    folder = experiments(place, "mine.yaml", "title: Mine\ncolour: red\n")
    return place.refusal(read_table, "mine", None, folder)


@case(AREA, "a table's file without rows")
def no_rows(place: Place) -> str:
    folder = experiments(place, "mine.yaml", "title: Mine\n")
    return place.refusal(read_table, "mine", None, folder)


@case(AREA, "a row that names an architecture without a file")
def no_fragment(place: Place) -> str:
    folder = experiments(place, "scale/demo.yaml", "data: {voc: shapes}\n")
    experiments_arch = folder / "arch"
    experiments_arch.mkdir()
    (experiments_arch / "fcn8s.yaml").write_text("model: {}\n")
    return place.refusal(compose, "fcn9s", "voc", "level_set", "demo", folder)


def with_checkpoint(place: Place, path: Path) -> str:
    cell = "table1/fcn8s_resnet101/baseline"
    _, text, _ = place.call("config", cell, "--data", str(place.data))
    (place.folder / "net.yaml").write_text(text)
    config = ["--config", str(place.folder / "net.yaml"), "--trainer.logger=false"]
    before = path.read_bytes() if path.exists() else b""
    message = place.mistake("validate", *config, "--ckpt_path", str(path))
    assert not path.exists() or path.read_bytes() == before
    return message


CHECKPOINT = "the file"


@case(AREA, "`validate --ckpt_path` names no file")
def no_checkpoint(place: Place) -> str:
    return with_checkpoint(place, place.folder / "net.ckpt")


@case(AREA, "`--ckpt_path` names a checkpoint that would run code", CHECKPOINT)
def checkpoint_with_code(place: Place) -> str:
    torch.save({"state_dict": {"a": Path}}, place.folder / "net.ckpt")
    return with_checkpoint(place, place.folder / "net.ckpt")


@case(AREA, "`--ckpt_path` names a checkpoint that was cut", CHECKPOINT)
def checkpoint_cut(place: Place) -> str:
    path = place.folder / "net.ckpt"
    torch.save({"state_dict": FCN(stride=8, trunk="thin", num_classes=7).state_dict()}, path)
    path.write_bytes(path.read_bytes()[:9000])
    return with_checkpoint(place, path)


@case(AREA, "`--ckpt_path` names a checkpoint of another network", CHECKPOINT)
def checkpoint_of_another(place: Place) -> str:
    path = place.folder / "net.ckpt"
    state = FCN(stride=8, trunk="thin", num_classes=5).state_dict()
    torch.save({"state_dict": state, "pytorch-lightning_version": "2.5.0"}, path)
    return with_checkpoint(place, path)
