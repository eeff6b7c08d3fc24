"""What holds for all contour and object counts, on made-up maps and on real masks."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from scipy import ndimage

from reproduce.metrics import confusion_matrix
from reproduce.metrics.bootstrap import paired_bootstrap
from reproduce.metrics.boundary_f import mean_boundary_f
from reproduce.metrics.by_image import CountsByImage
from reproduce.metrics.counts import Counts, intersection_union, iou, mean_iou
from reproduce.metrics.objects import size_scores
from tests.metrics import slow

VOID, CLASSES = slow.VOID, 4
Maps = tuple[np.ndarray, np.ndarray]


def counts_of(*images: Maps, classes: int = CLASSES) -> dict[str, Counts]:
    counts = CountsByImage(classes, foreground_only=False)
    for guess, truth in images:
        counts.add(guess, truth)
    return counts.arrays()


def equal(ours: dict[str, Counts], theirs: dict[str, Counts]) -> None:
    assert ours.keys() == theirs.keys()
    for name, array in ours.items():
        np.testing.assert_allclose(array, theirs[name], rtol=1e-12, err_msg=name)


def all_perfect(counts: dict[str, Counts]) -> None:
    sums = {name: array.sum(0) for name, array in counts.items() if name != "size_edges"}
    for name in ("trimap", "boundary_iou"):
        assert set(iou(sums[name])[sums[name][..., 1] > 0]) == {1.0}
    assert mean_boundary_f(sums["boundary_f"]) == 1
    for score in size_scores(sums["sizes"]):
        assert set(score[~np.isnan(score)]) == {1.0}


@pytest.mark.parametrize("seed", range(3))
def test_a_perfect_prediction(seed: int) -> None:
    guess, truth = slow.scene(seed)
    all_perfect(counts_of((np.where(truth == VOID, guess, truth), truth)))


@pytest.mark.parametrize("seed", range(3))
def test_predictions_in_void_change_nothing(seed: int) -> None:
    guess, truth = slow.scene(seed)
    noise = np.random.default_rng(seed).integers(0, 200, truth.shape)
    equal(counts_of((guess, truth)), counts_of((np.where(truth == VOID, noise, guess), truth)))


def test_classes_can_be_renumbered() -> None:
    guess, truth = slow.scene(1)
    names = np.array([2, 0, 3, 1])
    renamed = np.where(truth == VOID, VOID, names[truth % VOID % CLASSES])
    ours, theirs = counts_of((guess, truth)), counts_of((names[guess], renamed))
    for name, axis in (("trimap", 2), ("boundary_f", 1), ("boundary_iou", 1)):
        assert (np.take(theirs[name], names, axis) == ours[name]).all()
    np.testing.assert_allclose(ours["sizes"], theirs["sizes"])


@pytest.mark.parametrize("shift", [(5, 0), (0, 9), (11, 13)])
def test_a_scene_can_move_within_the_background(shift: tuple[int, int]) -> None:
    def placed(y: int, x: int) -> Maps:
        maps = []
        for labels in slow.scene(2):
            canvas = np.zeros((110, 120), np.uint8)  # 32 px to the frame, the widest band
            canvas[y : y + labels.shape[0], x : x + labels.shape[1]] = labels
            maps.append(canvas)
        return maps[0], maps[1]

    here, there = (counts_of(placed(*at)) for at in ((35, 35), (35 + shift[0], 35 + shift[1])))
    equal(here, there)


def test_images_by_themselves() -> None:
    """The counts of an image do not depend on the others; edges of sizes do."""
    images = [slow.scene(seed) for seed in range(4)]
    together = counts_of(*images)
    for i, image in enumerate(images):
        alone = counts_of(image)
        for name in ("trimap", "boundary_f", "boundary_iou"):
            assert (together[name][i] == alone[name][0]).all()
    other = counts_of(*[(truth % VOID % CLASSES, truth) for _, truth in images])
    assert (together["size_edges"] == other["size_edges"]).all()
    assert (together["sizes"][..., :2] == other["sizes"][..., :2]).all()


def test_an_image_of_void_counts_nothing() -> None:
    guess, truth = slow.scene(0)
    counts = counts_of((guess, truth), (guess, np.full_like(truth, VOID)))
    for name in ("trimap", "boundary_f", "boundary_iou", "sizes"):
        assert counts[name][0].any()
        assert not counts[name][1].any()


def test_options() -> None:
    """Void of another label; class 0 among the objects or not."""
    guess, truth = slow.scene(0)
    signed = np.where(truth == VOID, -1, truth.astype(int))
    counts = CountsByImage(CLASSES, ignore_index=-1)
    counts.add(guess, signed)
    ours, theirs = counts.arrays(), counts_of((guess, truth))
    for name in ("trimap", "boundary_f", "boundary_iou"):
        assert (ours[name] == theirs[name]).all()
    background = (truth == 0).sum()
    assert background > 0
    assert ours["sizes"][..., 1].sum() == theirs["sizes"][..., 1].sum() - background


def test_errors() -> None:
    with pytest.raises(ValueError, match="at least one image"):
        CountsByImage(2).arrays()
    with pytest.raises(ValueError, match=r"\(2, 2\) and \(2, 3\)"):
        CountsByImage(2).add(np.zeros((2, 2), int), np.zeros((2, 3), int))
    with pytest.raises(ValueError, match="truth holds labels 0 to 9"):
        CountsByImage(2).add(np.zeros((1, 2), int), np.array([[0, 9]]))


@pytest.fixture(scope="module")
def masks(shared_data: Path) -> list[np.ndarray]:
    """Real VOC masks, void along the borders of objects."""
    files = sorted((shared_data / "VOCdevkit/VOC2012/SegmentationClass").glob("*.png"))[:6]
    return [np.array(Image.open(file)) for file in files]


def dilated(truth: np.ndarray, size: int) -> np.ndarray:
    """Objects grown over void and beyond."""
    grown: np.ndarray = ndimage.grey_dilation(np.where(truth == VOID, 0, truth), size)
    return grown


def test_real_masks_predicted_perfectly(masks: list[np.ndarray]) -> None:
    counts = counts_of(*[(np.where(t == VOID, 0, t), t) for t in masks], classes=21)
    assert (counts["trimap"][:, 0, :, 1].sum(1) > 0).all()
    all_perfect(counts)


def test_real_masks_predicted_too_large(masks: list[np.ndarray]) -> None:
    """Narrow bands see it most; growth within void is seen by none."""
    images = [(dilated(t, 21), t) for t in masks]
    counts = counts_of(*images, classes=21)
    by_width = mean_iou(counts["trimap"].sum(0))
    assert (np.diff(by_width)[2:] > 0).all()
    plain = np.zeros((21, 21), np.int64)
    for guess, truth in images:
        plain += confusion_matrix(torch.from_numpy(guess), torch.from_numpy(truth), 21).numpy()
    assert (counts["trimap"].sum(0)[-1] == intersection_union(plain)).all()
    narrow, band, edge = (
        by_width[2],
        mean_iou(counts["boundary_iou"].sum(0)),
        mean_boundary_f(counts["boundary_f"].sum(0)),
    )
    assert max(narrow, band, edge) < by_width[-1] - 0.1
    within = counts_of(*[(dilated(t, 3), t) for t in masks], classes=21)
    assert mean_iou(within["trimap"].sum(0))[0] > 0.97
    gain = paired_bootstrap(counts["trimap"], within["trimap"], mean_iou, resamples=100)
    assert (gain.difference.low > 0).all()
