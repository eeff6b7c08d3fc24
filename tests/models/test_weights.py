"""The registry of initial weights against the installed torchvision."""

from pathlib import Path

import pytest
import torch
from torchvision import models

from reproduce.models import FCN, DeepLabLargeFOV
from reproduce.models.weights import INITIAL_WEIGHTS, normalisation

PUBLISHED = sorted(name for name, entry in INITIAL_WEIGHTS.items() if entry.enum)


@pytest.mark.parametrize("name", PUBLISHED)
def test_entries_agree_with_torchvision(name: str) -> None:
    """File name, the hash in it, and the normalisation of the enum's own transforms."""
    entry = INITIAL_WEIGHTS[name]
    weights = models.get_weight(entry.origin)
    file = Path(weights.url).name
    assert file in entry.files
    assert file.removesuffix(".pth").rpartition("-")[2] == entry.sha256[0]
    transforms = weights.transforms()
    assert [m / 255 for m in entry.mean] == pytest.approx(transforms.mean)
    assert [s / 255 for s in entry.std] == pytest.approx(transforms.std)


def test_every_entry_says_what_it_has_seen() -> None:
    assert all(e.trained_on and e.files[0] == f"{n}.pth" for n, e in INITIAL_WEIGHTS.items())
    unknown = [name for name, entry in INITIAL_WEIGHTS.items() if not entry.sha256]
    assert unknown == ["resnet101_coco_caffe"]


def test_known_means() -> None:
    assert normalisation(None)[0] == pytest.approx((123.675, 116.28, 103.53))
    mean, std = normalisation("vgg16_caffe")
    assert mean == pytest.approx((123, 117, 104), abs=0.01)
    assert std == (1, 1, 1)
    assert normalisation("resnet101_coco_caffe") == ((122.675, 116.669, 104.008), (1, 1, 1))


def test_random_weights_are_normalised_as_imagenet() -> None:
    image = torch.randint(0, 256, (1, 3, 5, 5), dtype=torch.uint8)
    colour = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)
    spread = torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)
    ours = FCN(trunk="thin").normalise(image)
    torch.testing.assert_close(ours, (image / 255 - colour) / spread)


def test_the_module_takes_the_normalisation_of_its_weights(folder: Path) -> None:
    state = models.vgg16(weights=None).features.state_dict(prefix="features.")
    torch.save(state, folder / "vgg16_caffe.pth")
    net = DeepLabLargeFOV(trunk="vgg16", hidden=8, weights="vgg16_caffe", check_weights=False)
    assert net.mean.flatten().tolist() == pytest.approx([122.99925, 116.9991, 103.9992])
    assert net.std.flatten().tolist() == [1, 1, 1]
    assert not {"mean", "std"} & set(net.state_dict())
