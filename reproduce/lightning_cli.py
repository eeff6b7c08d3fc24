"""LightningCLI over the configurations under ``experiments/``."""

import sys
import warnings
from collections.abc import Mapping
from typing import Any

import torch
from lightning.pytorch.cli import LightningCLI
from torch import nn

from reproduce.data.datamodule import SegmentationDataModule
from reproduce.errors import UserError
from reproduce.experiments import merge
from reproduce.models import SegmentationModule

#: What jsonargparse raises for a wrong option.
PARSER_ERRORS = ("ArgumentError", "NSKeyError")

#: Lines of its messages that tell what is wrong and where.
TELLING = ("Parser key", "Problem with", "not accept", "not expected", "Expected", "required")


class _Parsed(LightningCLI):
    """Stops after parsing."""

    def instantiate_classes(self) -> None:
        """Nothing."""


def _build(
    cli: type[LightningCLI], config: Mapping[str, Any], trainer: Mapping[str, Any]
) -> LightningCLI:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it warns of arguments beside those of the process
            return cli(
                SegmentationModule,
                SegmentationDataModule,
                subclass_mode_model=True,
                subclass_mode_data=True,
                save_config_callback=None,
                trainer_defaults=dict(trainer),
                parser_kwargs={"exit_on_error": False},
                run=False,
                args=merge(config, {}),
            )
    except Exception as error:
        if isinstance(error.__cause__, UserError):  # jsonargparse wraps what a class raises
            raise error.__cause__ from None
        if type(error).__name__ not in PARSER_ERRORS:
            raise
        raise UserError(f"configuration: {shorten(str(error))}") from None


def build_cli(config: Mapping[str, Any], trainer: Mapping[str, Any] | None = None) -> LightningCLI:
    """Trainer, model and data of a configuration, instantiated and seeded.

    A network with depthwise convolutions that runs on a CPU keeps its channels last in memory:
    the same numbers but for rounding, and its dilated layers are two to four times as fast.

    Args:
        config: ``seed_everything``, ``model``, ``data`` and ``trainer``.
        trainer: Defaults for further options of the trainer.

    Raises:
        UserError: If the configuration does not fit the classes; the message names the option.
    """
    cli = _build(LightningCLI, config, trainer or {})
    if cli.trainer.strategy.root_device.type == "cpu" and _depthwise(cli.model):
        cli.model.to(memory_format=torch.channels_last)
    return cli


def _depthwise(network: nn.Module) -> bool:
    """Whether convolutions work on each channel alone, as MobileNet's do."""
    return any(isinstance(layer, nn.Conv2d) and layer.groups > 1 for layer in network.modules())


def check_config(config: Mapping[str, Any]) -> None:
    """Parse a configuration without building anything.

    Raises:
        UserError: As :func:`build_cli`.
    """
    _build(_Parsed, config, {})


def shorten(message: str) -> str:
    """The telling part of one of jsonargparse's messages, in one line."""
    lines = [line.strip(" -:") for line in message.splitlines() if line.strip()]
    telling = [
        line for line in lines if any(word in line for word in TELLING) and "NoneType" not in line
    ]
    return ": ".join(telling or lines[-1:])


def run_command(arguments: list[str]) -> int:
    """``fit``, ``validate``, ``test`` or ``predict`` with LightningCLI's own options.

    Returns:
        0.

    Raises:
        UserError: On a mistake in the options.
    """
    # LightningCLI reads the words of the process; given them as arguments it would warn.
    sys.argv = ["reproduce", *arguments]
    try:
        LightningCLI(
            SegmentationModule,
            SegmentationDataModule,
            subclass_mode_model=True,
            subclass_mode_data=True,
            save_config_callback=None,
            parser_kwargs={"allow_abbrev": False, "exit_on_error": False},
        )
    except Exception as error:
        if isinstance(error.__cause__, UserError):  # jsonargparse wraps what a class raises
            raise error.__cause__ from None
        if type(error).__name__ not in PARSER_ERRORS:
            raise
        raise UserError(f"{arguments[0]}: {shorten(str(error))}") from None
    return 0
