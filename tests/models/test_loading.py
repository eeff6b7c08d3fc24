"""Initial weights: found, downloaded, checked by their hash and mapped by name."""

import functools
import hashlib
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch
from torchvision import models

from reproduce.errors import UserError
from reproduce.models import FCN
from reproduce.models.backbones import build_trunk
from reproduce.models.loading import find_weights, load_initial_weights, read_weights
from reproduce.models.weights import INITIAL_WEIGHTS

MOBILENET = "mobilenet_v2_imagenet"


def test_mobilenet_from_a_file(folder: Path) -> None:
    torch.manual_seed(1)
    net = models.mobilenet_v2(weights=None).eval()
    path = folder / "mobilenet_v2_imagenet.pth"
    torch.save(net.state_dict(), path)
    model = FCN(trunk="mobilenet_v2", weights=MOBILENET, check_weights=False).eval()
    assert model.weights_sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    image = torch.rand(1, 3, 64, 64)
    torch.testing.assert_close(model.trunk(image)[-1], net.features(image))


def test_the_real_file_has_a_known_hash(shared_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REPRODUCE_WEIGHTS", str(shared_data / "weights"))
    model = FCN(trunk="mobilenet_v2", weights=MOBILENET)
    assert model.weights_sha256 in INITIAL_WEIGHTS[MOBILENET].sha256


@pytest.mark.parametrize(
    ("name", "prefix"), [("resnet101_imagenet", ""), ("fcn_resnet101_coco", "backbone.")]
)
def test_resnet_from_a_segmentation_network(folder: Path, name: str, prefix: str) -> None:
    """Heads are dropped, and files without batch normalisation's counters are old, not wrong."""
    net = models.resnet101(weights=None)
    state = {
        f"{prefix}{k}": v
        for k, v in net.state_dict().items()
        if not k.startswith("fc") and not k.endswith("num_batches_tracked")
    }
    torch.save({**state, "classifier.4.bias": torch.zeros(21)}, folder / f"{name}.pth")
    trunk = build_trunk("resnet101", 8)
    load_initial_weights(trunk, name, check=False)
    for key, value in trunk.state_dict().items():
        assert torch.equal(value, net.state_dict()[trunk.origin_names[key]])


def test_torchvisions_own_file_name_is_found(folder: Path) -> None:
    (folder / "vgg16-397923af.pth").touch()
    assert find_weights("vgg16_imagenet").name == "vgg16-397923af.pth"
    (folder / "vgg16_imagenet.pth").touch()
    assert find_weights("vgg16_imagenet").name == "vgg16_imagenet.pth"


def test_unknown_hash(folder: Path) -> None:
    path = folder / "vgg16_imagenet.pth"
    torch.save({}, path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    message = (
        rf"{path} as weights vgg16_imagenet: expected SHA-256 397923af\.\.\., found {digest}: "
        r"replace the file, or take it as it is with --model\.init_args\.check_weights=false"
    )
    with pytest.raises(UserError, match=message):
        FCN(trunk="vgg16", weights="vgg16_imagenet")
    assert read_weights("vgg16_imagenet", check=False) == ({}, digest)


def test_no_hash_is_known_for_the_caffe_file(folder: Path) -> None:
    torch.save({}, folder / "resnet101_coco_caffe.pth")
    message = r"expected SHA-256 none, no hash is known, found .*: if you trust the file, take it"
    with pytest.raises(UserError, match=message):
        read_weights("resnet101_coco_caffe")
    (folder / "resnet101_coco_caffe.pth").unlink()
    with pytest.raises(UserError, match=r"not downloadable .* put it as resnet101_coco_caffe\.pth"):
        read_weights("resnet101_coco_caffe")


def test_weights_of_another_network(folder: Path) -> None:
    torch.save(models.mobilenet_v2(weights=None).state_dict(), folder / "vgg16_imagenet.pth")
    with pytest.raises(UserError, match=r"vgg16_imagenet lack .* of the 26 tensors"):
        load_initial_weights(build_trunk("vgg16", 8), "vgg16_imagenet", check=False)
    with pytest.raises(UserError, match=r"lack 0 of the 0 tensors"):
        load_initial_weights(build_trunk("thin", 8), "vgg16_imagenet", check=False)


def test_weights_of_another_size(folder: Path) -> None:
    state = models.vgg16(weights=None).features.state_dict(prefix="features.")
    state["features.0.weight"] = torch.zeros(64, 4, 3, 3)
    torch.save(state, folder / "vgg16_imagenet.pth")
    with pytest.raises(UserError, match=r"vgg16_imagenet do not fit: size mismatch"):
        load_initial_weights(build_trunk("vgg16", 8), "vgg16_imagenet", check=False)


def test_damaged_and_unsafe_files(folder: Path) -> None:
    (folder / "vgg16_imagenet.pth").write_bytes(b"not a checkpoint")
    with pytest.raises(UserError, match="no readable state dict"):
        read_weights("vgg16_imagenet", check=False)
    torch.save(Path("code"), folder / "vgg16_imagenet.pth")
    with pytest.raises(UserError, match="no readable state dict"):
        read_weights("vgg16_imagenet", check=False)


def test_unknown_name() -> None:
    with pytest.raises(UserError, match="unknown weights 'jft': expected one of"):
        FCN(trunk="vgg16", weights="jft")


@pytest.mark.usefixtures("folder")
def test_no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError("no route to host")

    monkeypatch.setattr(torch.hub, "download_url_to_file", refuse)
    with pytest.raises(UserError, match=r"could not be downloaded .* set REPRODUCE_WEIGHTS="):
        read_weights(MOBILENET)


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder and its address."""
    served = tmp_path / "served"
    served.mkdir()
    handler = functools.partial(Quiet, directory=str(served))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as http:
        thread = threading.Thread(target=http.serve_forever)
        thread.start()
        yield served, f"http://127.0.0.1:{http.server_port}"
        http.shutdown()
        thread.join()


def publish(
    server: tuple[Path, str], content: bytes, monkeypatch: pytest.MonkeyPatch, prefix: str
) -> None:
    """Serve ``content`` as torchvision's MobileNetV2, whose hash shall begin with ``prefix``."""
    entry = INITIAL_WEIGHTS[MOBILENET]
    served, address = server
    file = f"mobilenet_v2-{prefix}.pth"
    (served / file).write_bytes(content)
    monkeypatch.setattr(models.get_weight(entry.origin).value, "url", f"{address}/{file}")
    monkeypatch.setitem(INITIAL_WEIGHTS, MOBILENET, replace(entry, sha256=(prefix,)))


def test_download(
    folder: Path,
    server: tuple[Path, str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    net = models.mobilenet_v2(weights=None)
    torch.save(net.state_dict(), folder / "made.pth")
    content = (folder / "made.pth").read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    publish(server, content, monkeypatch, digest[:8])
    model = FCN(trunk="mobilenet_v2", weights=MOBILENET)
    assert model.weights_sha256 == digest
    assert "100%" in capsys.readouterr().err
    (server[0] / f"mobilenet_v2-{digest[:8]}.pth").unlink()
    assert read_weights(MOBILENET)[1] == digest, "the second time it is in the cache"
    assert capsys.readouterr().err == ""


def test_download_of_a_wrong_file(
    folder: Path, server: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(server, b"something else", monkeypatch, "0123abcd")
    with pytest.raises(UserError, match=r'invalid hash value \(expected "0123abcd", got'):
        read_weights(MOBILENET, check=False)
    assert list((folder / "hub" / "checkpoints").iterdir()) == []


def test_a_damaged_file_in_the_cache(
    folder: Path, server: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(server, b"whole", monkeypatch, hashlib.sha256(b"whole").hexdigest()[:8])
    path = find_weights(MOBILENET)
    assert path.is_relative_to(folder)
    path.write_bytes(b"half")
    with pytest.raises(UserError, match=rf"{path} as weights .*: replace the file"):
        read_weights(MOBILENET)
