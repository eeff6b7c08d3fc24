"""Initial weights into a trunk: found in a local folder, else downloaded; checked by their hash."""

import hashlib
import os
from pathlib import Path
from urllib.error import URLError

import torch
from torch import Tensor
from torchvision import models

from reproduce.errors import UserError
from reproduce.models.backbones import Trunk
from reproduce.models.caffe import caffe_to_torchvision, to_caffe_geometry
from reproduce.models.weights import INITIAL_WEIGHTS, InitialWeights

#: Environment variable that names a folder with weight files.
WEIGHTS_FOLDER = "REPRODUCE_WEIGHTS"

#: The counter of batch normalisation, which older files lack and nothing here reads.
COUNTER = "num_batches_tracked"


def _cached(entry: InitialWeights) -> Path:
    """Where torch keeps the download of a torchvision enum."""
    url: str = models.get_weight(entry.origin).url
    return Path(torch.hub.get_dir()) / "checkpoints" / url.rsplit("/", 1)[-1]


def _download(name: str, entry: InitialWeights) -> Path:
    """Bring the file of a torchvision enum into torch's own cache."""
    place = f"put it as {entry.files[0]} into a folder and set {WEIGHTS_FOLDER}=that folder"
    if not entry.enum:
        raise UserError(f"weights {name} are not downloadable ({entry.origin}): {place}")
    url: str = models.get_weight(entry.origin).url
    path = _cached(entry)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Written under another name and checked before it gets this one.
        torch.hub.download_url_to_file(url, str(path), entry.sha256[0], progress=True)
    except (URLError, OSError, RuntimeError) as error:
        raise UserError(
            f"weights {name} could not be downloaded from {url} ({error}): get the state dict "
            f"of torchvision's {entry.origin} elsewhere, {place}"
        ) from error
    return path


def local_file(name: str) -> Path | None:
    """File of named weights, if it is on this machine: in ``$REPRODUCE_WEIGHTS`` or torch's cache.

    Raises:
        UserError: If the name is unknown.
    """
    if name not in INITIAL_WEIGHTS:
        raise UserError(f"unknown weights {name!r}: expected one of {', '.join(INITIAL_WEIGHTS)}")
    entry = INITIAL_WEIGHTS[name]
    places = [_cached(entry)] if entry.enum else []
    if WEIGHTS_FOLDER in os.environ:
        places = [Path(os.environ[WEIGHTS_FOLDER]) / file for file in entry.files] + places
    return next((path for path in places if path.is_file()), None)


def find_weights(name: str) -> Path:
    """File of named weights, downloaded if need be with its progress on stderr.

    Args:
        name: Key of :data:`~reproduce.models.weights.INITIAL_WEIGHTS`.

    Raises:
        UserError: If the name is unknown, the weights are neither local nor downloadable, or
            what was downloaded has another hash.
    """
    return local_file(name) or _download(name, INITIAL_WEIGHTS[name])


def check_hash(name: str, path: Path, digest: str) -> None:
    """Refuse a file that is not one of the published ones.

    Args:
        name: Key of :data:`~reproduce.models.weights.INITIAL_WEIGHTS`.
        path: The file, for the message.
        digest: Its SHA-256.

    Raises:
        UserError: If no known hash begins like ``digest``.
    """
    known = INITIAL_WEIGHTS[name].sha256
    if not any(digest.startswith(prefix) for prefix in known):
        expected = " or ".join(f"{prefix[:8]}..." for prefix in known) or "none, no hash is known"
        remedy = "replace the file, or" if known else "if you trust the file,"
        raise UserError(
            f"{path} as weights {name}: expected SHA-256 {expected}, found {digest}: {remedy} take "
            "it as it is with --model.init_args.check_weights=false (after -- or in ARGS)"
        )


def read_weights(name: str, *, check: bool = True) -> tuple[dict[str, Tensor], str]:
    """State dict, as it is in the file, and SHA-256 of named weights.

    Args:
        name: Key of :data:`~reproduce.models.weights.INITIAL_WEIGHTS`.
        check: Whether the hash must be a known one.

    Raises:
        UserError: If :func:`find_weights` or :func:`check_hash` says so, or the file cannot be
            read without running code from it.
    """
    path = find_weights(name)
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if check:
        check_hash(name, path, digest)
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # noqa: BLE001 - torch raises many kinds for a bad file
        raise UserError(
            f"{path} is no readable state dict ({error}): remove or replace it"
        ) from None
    return state, digest


def load_initial_weights(trunk: Trunk, name: str, *, check: bool = True) -> str:
    """Fill ``trunk`` with named weights, and give their SHA-256.

    Names are those of torchvision's classification networks; a leading ``backbone.`` (of its
    segmentation networks) is dropped, classifiers are ignored. Files of Caffe's ResNet are renamed
    and bring their strides with them (:mod:`reproduce.models.caffe`).

    Args:
        trunk: Changed in place.
        name: Key of :data:`~reproduce.models.weights.INITIAL_WEIGHTS`.
        check: Whether the hash must be a known one.

    Raises:
        UserError: If the weights are missing, not the published ones or do not fit the trunk.
    """
    state, digest = read_weights(name, check=check)
    caffe = INITIAL_WEIGHTS[name].layout == "caffe"
    if caffe:
        state = caffe_to_torchvision(state)
    state = {key.removeprefix("backbone."): value for key, value in state.items()}
    names = trunk.origin_names
    missing = [v for v in names.values() if v not in state and not v.endswith(COUNTER)]
    if not names or missing:
        example = f", {missing[0]} among them" if missing else ""
        raise UserError(
            f"weights {name} lack {len(missing)} of the {len(names)} tensors of this trunk"
            f"{example}: choose the weights made for it"
        )
    own = trunk.state_dict()
    try:
        trunk.load_state_dict({key: state.get(origin, own[key]) for key, origin in names.items()})
    except RuntimeError as error:
        raise UserError(
            f"weights {name} do not fit: {str(error).splitlines()[-1].strip()}"
        ) from None
    if caffe:
        to_caffe_geometry(trunk)
    return digest
