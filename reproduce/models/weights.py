"""Initial weights of the trunks: found in a local folder, else downloaded by torchvision."""

import hashlib
import os
from pathlib import Path
from urllib.error import URLError

import torch
from torch import Tensor
from torchvision import models

from reproduce.errors import UserError
from reproduce.models.backbones import Trunk

#: Environment variable that names a folder with weight files.
WEIGHTS_FOLDER = "REPRODUCE_WEIGHTS"

#: Name in a config -> (torchvision's enum, file names looked for in the local folder).
INITIAL_WEIGHTS = {
    "resnet101_imagenet": ("ResNet101_Weights.IMAGENET1K_V1", ["resnet101_imagenet.pth"]),
    "resnet101_coco": (
        "DeepLabV3_ResNet101_Weights.COCO_WITH_VOC_LABELS_V1",
        ["resnet101_coco.pth"],
    ),
    "vgg16_imagenet": ("VGG16_Weights.IMAGENET1K_V1", ["vgg16_imagenet.pth"]),
    "mobilenet_v2_imagenet": (
        "MobileNet_V2_Weights.IMAGENET1K_V1",
        ["mobilenet_v2_imagenet.pth", "mobilenet_v2_features_imagenet.pth"],
    ),
}


def read_weights(name: str) -> tuple[dict[str, Tensor], str]:
    """State dict and SHA-256 of named weights.

    Args:
        name: Key of :data:`INITIAL_WEIGHTS`. A local file in the folder ``$REPRODUCE_WEIGHTS``
            goes before a download.

    Raises:
        UserError: If the name is unknown, or the weights are neither local nor downloadable.
    """
    if name not in INITIAL_WEIGHTS:
        raise UserError(f"unknown weights {name!r}: expected one of {', '.join(INITIAL_WEIGHTS)}")
    enum, files = INITIAL_WEIGHTS[name]
    folder = Path(os.environ.get(WEIGHTS_FOLDER, ""))
    paths = [folder / file for file in files if WEIGHTS_FOLDER in os.environ]
    path = next((p for p in paths if p.is_file()), None)
    if path is None:
        weights = models.get_weight(enum)
        path = Path(torch.hub.get_dir()) / "checkpoints" / weights.url.rsplit("/", 1)[-1]
        if not path.is_file():
            try:
                weights.get_state_dict(progress=True, check_hash=True)
            except (URLError, OSError, RuntimeError) as error:
                raise UserError(
                    f"weights {name} could not be downloaded ({error}): put the state dict of "
                    f"torchvision's {enum} as {files[0]} into a folder and set "
                    f"{WEIGHTS_FOLDER}=that folder"
                ) from error
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # noqa: BLE001 - torch raises many kinds for a bad file
        raise UserError(
            f"{path} is no readable state dict ({error}): remove or replace it"
        ) from None
    return state, hashlib.sha256(path.read_bytes()).hexdigest()


def load_initial_weights(trunk: Trunk, name: str) -> str:
    """Fill ``trunk`` with named weights, and give their SHA-256.

    Names are those of torchvision's classification networks; a leading ``backbone.`` (of its
    segmentation networks) is dropped, classifiers are ignored.

    Raises:
        UserError: If the weights are missing or do not fit the trunk.
    """
    state, digest = read_weights(name)
    state = {key.removeprefix("backbone."): value for key, value in state.items()}
    if "features" in next(iter(trunk.origin_names.values()), "") and "0.0.weight" in state:
        state = {f"features.{key}": value for key, value in state.items()}
    names = trunk.origin_names
    missing = [names[k] for k in names if names[k] not in state]
    if not names or missing:
        example = f", {missing[0]} among them" if missing else ""
        raise UserError(
            f"weights {name} lack {len(missing)} of the {len(names)} tensors of this trunk"
            f"{example}: choose the weights made for it"
        )
    try:
        trunk.load_state_dict({key: state[names[key]] for key in names})
    except RuntimeError as error:
        raise UserError(
            f"weights {name} do not fit: {str(error).splitlines()[-1].strip()}"
        ) from None
    return digest
