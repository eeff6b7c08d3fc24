"""The initial weights a trunk can start from, what they have seen, and what belongs to them.

What to mind:

- The two ``resnet101_coco*`` entries of torchvision are whole segmentation networks trained on
  COCO with the labels of VOC's 20 classes. Only their trunks are taken: ``classifier`` and
  ``aux_classifier`` already know the classes and are dropped. They were trained with dilation 1 and
  2 in the first 3x3 of layer3 and layer4, as our trunk has them; DeepLab-v2 has 2 and 4.
- ``vgg16_caffe`` has nan in its classifier and its own normalisation (RGB minus a mean, not
  scaled); the classifier of ``vgg16_imagenet`` gives fc6 and fc7 of LargeFOV.
- The DeepLab authors' own start, ``resnet101_coco_caffe``, is downloaded from nowhere: the user
  brings the file. The networks they released after training have seen VOC's validation images.
"""

from dataclasses import dataclass
from typing import Literal

Colour = tuple[float, float, float]

#: Mean and standard deviation of RGB in 0-255 that torchvision's own trainings used.
IMAGENET_MEAN: Colour = (0.485 * 255, 0.456 * 255, 0.406 * 255)
IMAGENET_STD: Colour = (0.229 * 255, 0.224 * 255, 0.225 * 255)


@dataclass(frozen=True)
class InitialWeights:
    """A published state dict.

    Attributes:
        origin: Where it comes from; with ``enum`` one of ``torchvision.models.get_weight``.
        trained_on: Data it has seen.
        files: Names it may have in the folder of weights, the first one is advised.
        sha256: First digits of the SHA-256 of the known files; empty: none is known.
        enum: Whether ``origin`` names an enum of torchvision, which knows where to download it.
        mean: Mean of RGB in 0-255 it was trained with.
        std: Standard deviation likewise.
        layout: Names and geometry: of torchvision, or of Caffe's ResNet.
        classifier: Whether VGG-16's fully connected layers are in it.
    """

    origin: str
    trained_on: str
    files: tuple[str, ...]
    sha256: tuple[str, ...] = ()
    enum: bool = True
    mean: Colour = IMAGENET_MEAN
    std: Colour = IMAGENET_STD
    layout: Literal["torchvision", "caffe"] = "torchvision"
    classifier: bool = False


#: Initial weights by their name in a config.
INITIAL_WEIGHTS = {
    "resnet101_imagenet": InitialWeights(
        origin="ResNet101_Weights.IMAGENET1K_V1",
        trained_on="ImageNet-1k, 1,000 classes of images",
        files=("resnet101_imagenet.pth", "resnet101-63fe2227.pth"),
        sha256=("63fe2227",),
    ),
    "resnet101_coco": InitialWeights(
        origin="DeepLabV3_ResNet101_Weights.COCO_WITH_VOC_LABELS_V1",
        trained_on="ImageNet-1k, then masks of COCO train2017 with VOC's 20 classes (DeepLabV3)",
        files=("resnet101_coco.pth", "deeplabv3_resnet101_coco-586e9e4e.pth"),
        sha256=("586e9e4e",),
    ),
    "fcn_resnet101_coco": InitialWeights(
        origin="FCN_ResNet101_Weights.COCO_WITH_VOC_LABELS_V1",
        trained_on="ImageNet-1k, then masks of COCO train2017 with VOC's 20 classes (dilated FCN)",
        files=("fcn_resnet101_coco.pth", "fcn_resnet101_coco-7ecb50ca.pth"),
        sha256=("7ecb50ca",),
    ),
    "resnet101_coco_caffe": InitialWeights(
        origin="init.caffemodel of DeepLab-v2 as convert.py of kazuto1011/deeplab-pytorch saves it",
        trained_on="ImageNet-1k, then masks of COCO with its 80 classes",
        files=("resnet101_coco_caffe.pth", "deeplabv1_resnet101-coco.pth"),
        enum=False,
        mean=(122.675, 116.669, 104.008),
        std=(1.0, 1.0, 1.0),
        layout="caffe",
    ),
    "vgg16_imagenet": InitialWeights(
        origin="VGG16_Weights.IMAGENET1K_V1",
        trained_on="ImageNet-1k, 1,000 classes of images",
        files=("vgg16_imagenet.pth", "vgg16-397923af.pth"),
        sha256=("397923af",),
        classifier=True,
    ),
    "vgg16_caffe": InitialWeights(
        origin="VGG16_Weights.IMAGENET1K_FEATURES",
        trained_on="ImageNet-1k, by VGG-16's authors in Caffe; convolutions only",
        files=("vgg16_caffe.pth", "vgg16_features-amdegroot-88682ab5.pth"),
        sha256=("88682ab5",),
        mean=(0.48235 * 255, 0.45882 * 255, 0.40784 * 255),
        std=(1.0, 1.0, 1.0),
    ),
    "mobilenet_v2_imagenet": InitialWeights(
        origin="MobileNet_V2_Weights.IMAGENET1K_V1",
        trained_on="ImageNet-1k, 1,000 classes of images",
        files=(
            "mobilenet_v2_imagenet.pth",
            "mobilenet_v2-b0353104.pth",
            "mobilenet_v2_features_imagenet.pth",
        ),
        sha256=(
            "b0353104",
            # The same network without its classifier.
            "700fbe94f1bad190a9f7ae2ec02affa44e9ec8b58ff5ffe02269e0cfd95a1ade",
        ),
    ),
}


def normalisation(name: str | None) -> tuple[Colour, Colour]:
    """Mean and standard deviation of RGB in 0-255 for named weights.

    Args:
        name: Key of :data:`INITIAL_WEIGHTS`; ``None``, random weights: ImageNet's.
    """
    if name is None:
        return IMAGENET_MEAN, IMAGENET_STD
    return INITIAL_WEIGHTS[name].mean, INITIAL_WEIGHTS[name].std
