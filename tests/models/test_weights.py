"""Initial weights: found, checked and mapped by name."""

import hashlib
from pathlib import Path

import pytest
import torch
from torchvision import models

from reproduce.errors import UserError
from reproduce.models import FCN
from reproduce.models.backbones import build_trunk
from reproduce.models.weights import load_initial_weights


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("REPRODUCE_WEIGHTS", str(tmp_path))
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    return tmp_path


def test_mobilenet_from_a_file(folder: Path) -> None:
    torch.manual_seed(1)
    net = models.mobilenet_v2(weights=None).eval()
    path = folder / "mobilenet_v2_imagenet.pth"
    torch.save(net.state_dict(), path)
    model = FCN(trunk="mobilenet_v2", weights="mobilenet_v2_imagenet").eval()
    assert model.weights_sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    image = torch.rand(1, 3, 64, 64)
    torch.testing.assert_close(model.trunk(image)[-1], net.features(image))


@pytest.mark.parametrize("prefix", ["", "backbone."])
def test_resnet_from_a_segmentation_network(folder: Path, prefix: str) -> None:
    net = models.resnet101(weights=None)
    state = {f"{prefix}{k}": v for k, v in net.state_dict().items() if not k.startswith("fc")}
    torch.save({**state, "classifier.4.bias": torch.zeros(21)}, folder / "resnet101_coco.pth")
    trunk = build_trunk("resnet101", 8)
    load_initial_weights(trunk, "resnet101_coco")
    for name, value in trunk.state_dict().items():
        assert torch.equal(value, net.state_dict()[trunk.origin_names[name]])


def test_weights_of_another_network(folder: Path) -> None:
    torch.save(models.mobilenet_v2(weights=None).state_dict(), folder / "vgg16_imagenet.pth")
    with pytest.raises(UserError, match=r"vgg16_imagenet lack .* of the 26 tensors"):
        load_initial_weights(build_trunk("vgg16", 8), "vgg16_imagenet")


def test_damaged_and_unsafe_files(folder: Path) -> None:
    (folder / "vgg16_imagenet.pth").write_bytes(b"not a checkpoint")
    with pytest.raises(UserError, match="no readable state dict"):
        load_initial_weights(build_trunk("vgg16", 8), "vgg16_imagenet")
    torch.save(Path("code"), folder / "vgg16_imagenet.pth")
    with pytest.raises(UserError, match="no readable state dict"):
        load_initial_weights(build_trunk("vgg16", 8), "vgg16_imagenet")


def test_unknown_name() -> None:
    with pytest.raises(UserError, match="unknown weights 'jft': expected one of"):
        load_initial_weights(build_trunk("vgg16", 8), "jft")


@pytest.mark.usefixtures("folder")
def test_no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError("no route to host")

    monkeypatch.setattr(torch.hub, "download_url_to_file", refuse)
    with pytest.raises(UserError, match=r"could not be downloaded .* set REPRODUCE_WEIGHTS="):
        load_initial_weights(build_trunk("mobilenet_v2", 8), "mobilenet_v2_imagenet")
