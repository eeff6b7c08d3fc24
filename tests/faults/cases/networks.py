"""Weights, checkpoints, the CRF's inputs, and pictures to label."""

import json
from copy import deepcopy
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from reproduce.models.backbones import build_trunk
from reproduce.models.loading import load_initial_weights, read_weights
from reproduce.postprocess import DenseCRF
from tests.faults.place import Place
from tests.faults.registry import case
from tests.segment.conftest import CONFIG, make_run

AREA = "Weights, CRF and own pictures"
MOBILENET = "mobilenet_v2_imagenet"


def weights(place: Place, content: object, name: str = MOBILENET, *, check: bool = True) -> str:
    """What is said of a file of initial weights."""
    path = place.folder / f"{name}.pth"
    if content is not None:
        torch.save(content, path)
    load = partial(load_initial_weights, build_trunk("mobilenet_v2", 32), name, check=check)
    return place.refusal(load, REPRODUCE_WEIGHTS=str(place.folder))


@case(AREA, "`weights: resnet50`")
def unknown_weights(place: Place) -> str:
    return weights(place, None, "resnet50")


@case(AREA, "weights that the user has to bring are not there")
def absent_weights(place: Place) -> str:
    return weights(place, None, "resnet101_coco_caffe")


@case(AREA, "a file of weights has an unknown hash", "the file")
def other_weights(place: Place) -> str:
    message = weights(place, {"a": torch.zeros(1)})
    found = message.partition("found ")[2].partition(":")[0]
    assert len(found) == 64
    return message.replace(found, "SHA-256 of the file")


@case(AREA, "a file of weights would run code", "the file")
def weights_with_code(place: Place) -> str:
    torch.save({"a": Path}, place.folder / f"{MOBILENET}.pth")
    read = partial(read_weights, MOBILENET, check=False)
    message = place.refusal(read, REPRODUCE_WEIGHTS=str(place.folder))
    head, _, tail = message.partition("(")
    return f"{head}(...){tail.rpartition(')')[2]}"


@case(AREA, "weights of another network", "the file")
def weights_of_another(place: Place) -> str:
    return weights(place, {"a": torch.zeros(1)}, check=False)


def crf(image: object, probabilities: object) -> str:
    with pytest.raises(ValueError, match="expected") as caught:
        DenseCRF(iterations=1)(image, probabilities)
    return str(caught.value)


PROBABILITIES = np.full((2, 4, 5), 0.5, np.float32)
IMAGE = np.zeros((4, 5, 3), np.uint8)
INPUT = "the caller's arrays"


@case(AREA, "the CRF gets a normalised image", INPUT)
def float_image(_: Place) -> str:
    return crf(IMAGE / 255.0, PROBABILITIES)


@case(AREA, "the CRF gets an image with the channels first", INPUT)
def channels_first(_: Place) -> str:
    return crf(IMAGE.transpose(2, 0, 1), PROBABILITIES)


@case(AREA, "the CRF gets logits", INPUT)
def logits(_: Place) -> str:
    return crf(IMAGE, PROBABILITIES * 8 - 3)


@case(AREA, "the CRF gets probabilities of another size", INPUT)
def small_probabilities(_: Place) -> str:
    return crf(IMAGE, PROBABILITIES[:, :2, :2])


def segment(place: Place, *words: str, network: Path | None = None) -> list[str]:
    """A command that labels a picture."""
    run = network or make_run(place.folder / "net")
    if not (place.folder / "cat.png").exists():
        Image.fromarray(np.zeros((70, 80, 3), np.uint8)).save(place.folder / "cat.png")
    where = ["--checkpoint", str(run), "--out", str(place.folder / "out")]
    return ["segment", *where, *(words or (str(place.folder / "cat.png"),))]


def refused(place: Place, *words: str, network: Path | None = None) -> str:
    message = place.mistake(*segment(place, *words, network=network))
    assert not (place.folder / "out").exists()
    return message


@case(AREA, "`segment --checkpoint` names nothing")
def no_network(place: Place) -> str:
    return refused(place, network=place.folder / "nets" / "4f04")


@case(AREA, "`segment` with a network whose configuration names a foreign class")
def foreign_network(place: Place) -> str:
    config = deepcopy(CONFIG)
    config["model"]["class_path"] = "os.system"
    return refused(place, network=make_run(place.folder / "net", config))


@case(AREA, "`segment` with a checkpoint that was cut", "the file")
def cut_network(place: Place) -> str:
    path = make_run(place.folder / "net") / "last.ckpt"
    path.write_bytes(path.read_bytes()[:2000])
    return refused(place, network=path.parent)


@case(AREA, "`segment` with weights of other classes")
def other_classes(place: Place) -> str:
    config = deepcopy(CONFIG)
    config["model"]["init_args"]["num_classes"] = 5
    return refused(place, network=make_run(place.folder / "net", config))


@case(AREA, "`segment` with a run that is not finished", "the run, which goes on")
def unfinished(place: Place) -> str:
    run = make_run(place.folder / "net")
    (run / "last.ckpt").unlink()
    return refused(place, network=run)


@case(AREA, "`segment --level-set cat`, no class of the network")
def no_class(place: Place) -> str:
    return refused(place, str(place.folder / "cat.png"), "--level-set", "cat")


@case(AREA, "`segment --tile 8`")
def small_tile(place: Place) -> str:
    return refused(place, str(place.folder / "cat.png"), "--tile", "8")


@case(AREA, "`segment` of a folder without pictures")
def no_pictures(place: Place) -> str:
    (place.folder / "empty").mkdir()
    return refused(place, str(place.folder / "empty"))


@case(AREA, "one of the pictures is damaged", "the results of the others; exit status 1")
def bad_picture(place: Place) -> str:
    (place.folder / "dog.jpg").write_bytes(b"no picture")
    words = segment(place, str(place.folder / "dog.jpg"), str(place.folder / "cat.png"))
    status, out, error = place.call(*words)
    assert status == 1
    assert "1 of 2 pictures" in out
    assert (place.folder / "out" / "cat.png").exists()
    return place.plain(next(line for line in (out + error).splitlines() if "dog.jpg" in line))


@case(AREA, "`export --out net.pt`")
def other_ending(place: Place) -> str:
    run = make_run(place.folder / "net")
    return place.mistake("export", str(run), "--out", str(place.folder / "net.pt"))


@case(AREA, "`export` of a run that failed")
def failed_run(place: Place) -> str:
    path = make_run(place.folder / "net") / "record.json"
    record = json.loads(path.read_text())
    path.write_text(json.dumps({**record, "state": "failed", "error": "no memory"}))
    out = ["--out", str(place.folder / "net.safetensors")]
    return place.mistake("export", str(path.parent), *out)
