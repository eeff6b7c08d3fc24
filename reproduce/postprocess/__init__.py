"""Dense CRF after the network: it needs numpy and pydensecrf only, so that workers start fast."""

from reproduce.postprocess.crf import DenseCRF
from reproduce.postprocess.pool import CRFPool
from reproduce.postprocess.presets import PRESETS, Preset
from reproduce.postprocess.remote import CRFError
from reproduce.postprocess.search import DEEPLAB_V1, DEEPLAB_V2, Grid, Search, Trial, search
from reproduce.postprocess.worker import argmax_labels

__all__ = [
    "DEEPLAB_V1",
    "DEEPLAB_V2",
    "PRESETS",
    "CRFError",
    "CRFPool",
    "DenseCRF",
    "Grid",
    "Preset",
    "Search",
    "Trial",
    "argmax_labels",
    "search",
]
