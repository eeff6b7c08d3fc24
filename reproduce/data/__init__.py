"""Data sets. The modules are imported when asked for: torch is slow to load."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from reproduce.data.datamodule import SegmentationDataModule
    from reproduce.data.modules import (
        CamVidDataModule,
        CityscapesDataModule,
        ClutterDataModule,
        Context59DataModule,
        ContextDataModule,
        ShapesDataModule,
        StreetsDataModule,
        VOCDataModule,
    )

__all__ = [
    "CamVidDataModule",
    "CityscapesDataModule",
    "ClutterDataModule",
    "Context59DataModule",
    "ContextDataModule",
    "SegmentationDataModule",
    "ShapesDataModule",
    "StreetsDataModule",
    "VOCDataModule",
]


def __getattr__(name: str) -> Any:  # noqa: ANN401 - any public name
    """Import a data module on first use."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from reproduce.data import modules

    return getattr(modules, name)
