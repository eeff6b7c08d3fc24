"""One LightningDataModule per data set of the catalogue."""

from reproduce.data.catalog import data_set
from reproduce.data.datamodule import SegmentationDataModule


class VOCDataModule(SegmentationDataModule):
    """PASCAL VOC 2012 segmentation, or any data in its layout with its 21 classes.

    ``root`` is a VOCdevkit or a folder that holds ``JPEGImages``, ``SegmentationClass`` and
    ``ImageSets/Segmentation``. Splits are the names of its lists and ``trainaug``: with SBD beside
    it, the 10,582 images that papers train on. Options as in :class:`SegmentationDataModule`.
    """

    data = data_set("reproduce.data.VOCDataModule")


class ShapesDataModule(SegmentationDataModule):
    """The generated demo set in the VOC layout, made on first use; 7 classes, 96x96 pixels.

    Options as in :class:`SegmentationDataModule`.
    """

    data = data_set("reproduce.data.ShapesDataModule")


class CamVidDataModule(SegmentationDataModule):
    """CamVid with its 11 usual classes; label 11 of the files (unlabelled) is void.

    ``root`` holds ``train.txt``, ``val.txt`` and ``test.txt`` with two columns, image and mask;
    options as in :class:`SegmentationDataModule`.
    """

    data = data_set("reproduce.data.CamVidDataModule")


class ContextDataModule(SegmentationDataModule):
    """PASCAL-Context with 59 classes and background, which is everything else; no void.

    ``root`` holds ``VOC2010`` (or ``VOCdevkit/VOC2010``) with the images and ``context`` with
    ``trainval/*.mat``, ``labels.txt`` and ``59_labels.txt``; options as in
    :class:`SegmentationDataModule`.
    """

    data = data_set("reproduce.data.ContextDataModule")


class Context59DataModule(SegmentationDataModule):
    """PASCAL-Context with its 59 classes alone: background is void.

    Root and options as in :class:`ContextDataModule`.
    """

    data = data_set("reproduce.data.Context59DataModule")


class CityscapesDataModule(SegmentationDataModule):
    """Cityscapes (fine annotations) with its 19 classes; all other labels are void.

    ``root`` holds ``leftImg8bit`` and ``gtFine``, or ``cityscapes`` with both; options as in
    :class:`SegmentationDataModule`.
    """

    data = data_set("reproduce.data.CityscapesDataModule")


class ClutterDataModule(SegmentationDataModule):
    """The generated demo set in the layout of PASCAL-Context, made on first use.

    13 classes with background, no void, 96x96 pixels; options as in
    :class:`SegmentationDataModule`.
    """

    data = data_set("reproduce.data.ClutterDataModule")


class StreetsDataModule(SegmentationDataModule):
    """The generated demo set in the layout and with the classes of Cityscapes, made on first use.

    128x64 pixels; options as in :class:`SegmentationDataModule`.
    """

    data = data_set("reproduce.data.StreetsDataModule")
