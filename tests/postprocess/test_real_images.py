"""One real photograph with the logits of a real network."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional as F

from reproduce.postprocess import DenseCRF


def accuracy(labels: np.ndarray, truth: np.ndarray) -> float:
    return float((labels == truth)[truth != 255].mean())


@pytest.mark.parametrize("preset", ["deeplab_largefov", "deeplab_resnet101"])
def test_a_photograph_gets_better(shared_data: Path, preset: str) -> None:
    """2007_002094: 82 % mIoU before, 86 to 95 after, depending on the preset."""
    voc, name = shared_data / "VOCdevkit" / "VOC2012", "2007_002094"
    stored = np.load(shared_data / "crf" / f"{name}.npz")
    width, height = (int(side) for side in stored["size"])
    logits = torch.from_numpy(stored["logits"].astype(np.float32)).permute(2, 0, 1)[None]
    p = F.interpolate(logits, (height, width), mode="bilinear", align_corners=False).softmax(1)[0]
    image = np.asarray(Image.open(voc / "JPEGImages" / f"{name}.jpg"))
    truth = np.asarray(Image.open(voc / "SegmentationClass" / f"{name}.png"))
    after = DenseCRF.preset(preset, iterations=5)(image, p)
    assert accuracy(after.argmax(0), truth) > accuracy(p.numpy().argmax(0), truth) + 0.005
    assert after.max(0).mean() > p.numpy().max(0).mean()
