"""Trained networks are found, built without their initial weights, and nothing foreign is run."""

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from reproduce.errors import UserError
from reproduce.models import FCN
from reproduce.models.weights import INITIAL_WEIGHTS
from reproduce.postprocess import DenseCRF
from reproduce.segment import load_network
from reproduce.segment.network import build_network
from tests.segment.conftest import CONFIG, NAMES, make_evaluation, make_run, random_network


def changed(**model: Any) -> dict[str, Any]:
    config = copy.deepcopy(CONFIG)
    config["model"].update(model)
    return config


def test_one_line(run: Path) -> None:
    network = load_network(str(run))
    assert isinstance(network, FCN)
    assert not network.training
    assert network.class_names == NAMES
    assert network.palette[3:6] == [128, 0, 0]
    assert network.crf is None
    images = torch.randint(0, 256, (2, 3, 70, 80), dtype=torch.uint8)
    labels = network.segment(images)
    assert torch.equal(labels, random_network().segment(images))
    assert len(labels.unique()) > 1


def test_ways_to_name_a_run(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    evaluation = make_evaluation(run, "e0", {"iterations": 3})
    for name in (run / "last.ckpt", run.parent / "4f04", evaluation):
        assert load_network(name).class_names == NAMES
    monkeypatch.chdir(run.parent.parent)
    assert load_network("4f04").class_names == NAMES


def test_crf_beside(run: Path) -> None:
    make_evaluation(run, "e0", {"iterations": 3, "bi_w": 7})
    (run.parent / "damaged").mkdir()
    (run.parent / "damaged" / "job.json").write_text("{")
    assert load_network(run).crf == DenseCRF(iterations=3, bi_w=7)


def test_not_found(tmp_path: Path, run: Path) -> None:
    make_run(run.parent / "4f05")
    with pytest.raises(UserError, match=r"found no such file and 2 runs that begin so"):
        load_network(run.parent / "4f0")
    with pytest.raises(UserError, match=r"found no such file and 0 runs"):
        load_network(tmp_path / "none" / "ab")
    (run / "last.ckpt").unlink()
    with pytest.raises(UserError, match=r"has no last.ckpt, which a training writes at its end"):
        load_network(run)


@pytest.mark.parametrize(
    "path",
    ["os.system", "torch.nn.Linear", "reproducer.models.FCN", 3, None],
)
def test_foreign_classes_are_refused(path: Any, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is refused: expected a class of this package") as caught:
        load_network(make_run(tmp_path / "r", changed(class_path=path)))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "path",
    ["reproduce.cli.main", "reproduce.__main__.main", "reproduce.models.Recipe", "reproduce.no.No"],
)
def test_own_classes_that_are_no_networks(path: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"expected a network, such as reproduce.models.FCN"):
        load_network(make_run(tmp_path / "r", changed(class_path=path)))


def test_foreign_class_inside(tmp_path: Path) -> None:
    config = copy.deepcopy(CONFIG)
    config["model"]["init_args"]["criterion"]["class_path"] = "subprocess.Popen"
    with pytest.raises(UserError, match=r"'subprocess.Popen' is refused"):
        load_network(make_run(tmp_path / "r", config))


def test_code_in_files_is_not_run(tmp_path: Path, run: Path) -> None:
    (run / "config.yaml").write_text("model: !!python/object/apply:os.system [touch x]")
    with pytest.raises(UserError, match="is no YAML"):
        load_network(run)
    other = make_run(tmp_path / "r")
    torch.save({"state_dict": {"a": Path}}, other / "last.ckpt")
    with pytest.raises(UserError, match="cannot be read as a checkpoint") as caught:
        load_network(other)
    assert "\n" not in str(caught.value)


def test_damaged(tmp_path: Path, run: Path) -> None:
    path = run / "last.ckpt"
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(UserError, match=r"last.ckpt cannot be read as a checkpoint"):
        load_network(run)
    (tmp_path / "a.safetensors").write_bytes(b"12345678")
    with pytest.raises(UserError, match=r"a.safetensors cannot be read as a checkpoint"):
        load_network(tmp_path / "a.safetensors")
    (run / "config.yaml").unlink()
    with pytest.raises(UserError, match=r"no config.yaml beside"):
        load_network(run)


def test_weights_that_do_not_fit(tmp_path: Path) -> None:
    config = copy.deepcopy(CONFIG)
    config["model"]["init_args"]["num_classes"] = 5
    with pytest.raises(UserError, match="does not fit its configuration: size mismatch"):
        load_network(make_run(tmp_path / "r", config))
    config["model"]["init_args"]["colour"] = "red"
    with pytest.raises(UserError, match=r"does not fit FCN: .*colour"):
        load_network(make_run(tmp_path / "s", config))


def test_other_number_of_classes(tmp_path: Path) -> None:
    config = copy.deepcopy(CONFIG)
    config["model"]["init_args"]["num_classes"] = 2
    state = FCN(stride=8, trunk="thin", num_classes=2).state_dict()
    network = load_network(make_run(tmp_path / "r", config, state))
    assert network.class_names == ("class 0", "class 1")


@pytest.mark.parametrize("name", ["mobilenet_v2_imagenet", "vgg16_caffe"])
def test_normalisation_without_the_file(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The mean and deviation of the initial weights, whose file nobody has here."""
    monkeypatch.setenv("REPRODUCE_WEIGHTS", "/nowhere")
    monkeypatch.setenv("TORCH_HOME", "/nowhere")
    trunk = name.rpartition("_")[0]
    before = torch.random.get_rng_state()
    options = {"trunk": trunk, "weights": name, "num_classes": 3}
    network = build_network({"class_path": "reproduce.models.FCN", "init_args": options})
    assert torch.equal(torch.random.get_rng_state(), before)
    assert torch.allclose(network.mean.flatten(), torch.tensor(INITIAL_WEIGHTS[name].mean))
    assert torch.allclose(network.std.flatten(), torch.tensor(INITIAL_WEIGHTS[name].std))


def test_caffes_geometry() -> None:
    options = {"weights": "resnet101_coco_caffe", "num_classes": 3}
    model = {"class_path": "reproduce.models.DeepLabResNet101", "init_args": options}
    block = next(m for n, m in build_network(model).named_modules() if n.endswith("stages.1.0"))
    assert block.conv1.stride == (2, 2)


def test_configurations_of_all_architectures_are_accepted() -> None:
    for path in sorted((Path(__file__).parents[2] / "experiments/arch").glob("*largefov*.yaml")):
        model = yaml.safe_load(path.read_text())["model"]
        model["init_args"].update(trunk="thin", weights=None, num_classes=4, hidden=8)
        assert build_network(model).num_classes == 4


def test_classes_of_the_user_are_allowed_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "own_nets.py").write_text(
        "from reproduce.models import FCN\nclass Net(FCN):\n    mine = True\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    run = make_run(tmp_path / "r", changed(class_path="own_nets.Net"))
    assert load_network(run, ["own_nets"]).mine
    for allow in ([], ["own"], ["own_nets.Net"]):
        with pytest.raises(UserError, match=r"'own_nets.Net' is refused: .+ \(--allow MODULE\)"):
            load_network(run, allow)
