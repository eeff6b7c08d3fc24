"""Mean IoU against an independent count and against Cityscapes' own evaluation."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from cityscapesscripts.evaluation import evalPixelLevelSemanticLabeling
from cityscapesscripts.helpers.labels import labels as cityscapes_labels
from PIL import Image
from torchmetrics.segmentation import MeanIoU

from reproduce.metrics import SegmentationScores

CLASSES, VOID = 19, 255
ID_OF = {label.trainId: label.id for label in cityscapes_labels if 0 <= label.trainId < VOID}
TRAIN_ID = {
    label.id: label.trainId if 0 <= label.trainId < VOID else VOID
    for label in cityscapes_labels
    if label.id >= 0
}


def scenes(absent: tuple[int, ...] = ()) -> tuple[np.ndarray, np.ndarray]:
    """Predicted train ids and true ids ``(3, 40, 50)``, ignored ids among the truth."""
    rng = np.random.default_rng(0)
    ids = np.array([i for i in TRAIN_ID if TRAIN_ID[i] not in absent])
    truth = ids[rng.integers(0, len(ids), (3, 5, 5))].repeat(8, 1).repeat(10, 2)
    trains = np.array([c for c in range(CLASSES) if c not in absent])
    other = trains[rng.integers(0, len(trains), truth.shape)]
    right = np.vectorize(TRAIN_ID.__getitem__)(truth)
    keep = (rng.random(truth.shape) < 0.7) & (right != VOID)
    return np.where(keep, right, other), truth


def ours(guess: np.ndarray, truth: np.ndarray) -> dict[str, torch.Tensor]:
    scores = SegmentationScores(CLASSES)
    targets = np.vectorize(TRAIN_ID.__getitem__)(truth)
    for g, t in zip(guess, targets, strict=True):
        scores.update(torch.from_numpy(g)[None], torch.from_numpy(t)[None])
    return scores.compute()


def officially(guess: np.ndarray, truth: np.ndarray, folder: Path) -> dict[str, Any]:
    """The official script on PNG files of ids."""
    options = evalPixelLevelSemanticLabeling.args
    options.quiet, options.JSONOutput, options.evalInstLevelScore = True, False, False
    pairs: tuple[list[str], list[str]] = ([], [])
    maps = (np.vectorize(ID_OF.__getitem__)(guess), truth)
    for kind, images, names in zip(("pred", "gt"), maps, pairs, strict=True):
        for i, image in enumerate(images):
            names.append(str(folder / f"{kind}{i}.png"))
            Image.fromarray(image.astype(np.uint8)).save(names[-1])
    result: dict[str, Any] = evalPixelLevelSemanticLabeling.evaluateImgLists(*pairs, options)
    return result


@pytest.mark.parametrize("absent", [(), (3, 16)])
def test_equals_the_official_cityscapes_evaluation(absent: tuple[int, ...], tmp_path: Path) -> None:
    guess, truth = scenes(absent)
    theirs, mine = officially(guess, truth, tmp_path), ours(guess, truth)
    assert mine["miou"].item() == pytest.approx(theirs["averageScoreClasses"], abs=1e-6)
    by_id = {theirs["labels"][name]: score for name, score in theirs["classScores"].items()}
    expected = [by_id[ID_OF[c]] for c in range(CLASSES)]
    assert mine["iou"].tolist() == pytest.approx(expected, abs=1e-6, nan_ok=True)
    assert mine["iou"].isnan().sum() == len(absent)


def test_the_official_script_wants_ids(tmp_path: Path) -> None:
    """Void 255 among the truth is fatal to it: ground truth must not be in train ids."""
    guess, truth = scenes()
    truth[0, 0, 0] = VOID
    with pytest.raises(SystemExit):
        officially(guess, truth, tmp_path)


@pytest.mark.parametrize("absent", [(), (0, 7, 18)])
def test_equals_sets_of_pixels(absent: tuple[int, ...]) -> None:
    """Intersection and union of boolean masks over the whole set."""
    guess, truth = scenes(absent)
    target = np.vectorize(TRAIN_ID.__getitem__)(truth)
    seen = target != VOID
    ratios = []
    for c in range(CLASSES):
        union = (((guess == c) | (target == c)) & seen).sum()
        if union:
            ratios.append(((guess == c) & (target == c) & seen).sum() / union)
    assert len(ratios) == CLASSES - len(absent)
    assert ours(guess, truth)["miou"].item() == pytest.approx(np.mean(ratios), abs=1e-6)


def test_is_not_the_mean_over_images() -> None:
    """``torchmetrics.segmentation.MeanIoU`` averages over images, even where nothing is void."""
    target = torch.zeros(2, 10, 10, dtype=torch.int64)
    target[1, :, 9:] = 1
    guess = target.clone()
    guess[0, 0, :5] = 1
    scores = SegmentationScores(2)
    scores.update(guess, target)
    expected = (185 / 190 + 10 / 15) / 2
    assert scores.compute()["miou"].item() == pytest.approx(expected, abs=1e-6)
    per_image = MeanIoU(2, input_format="index")(guess, target).item()
    assert abs(per_image - expected) > 0.05
