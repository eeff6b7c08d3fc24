"""LightningCLI over the configurations under ``experiments/``."""

import sys
import warnings
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from lightning.pytorch.cli import LightningCLI
from torch import nn

from reproduce.arguments import Parser
from reproduce.class_paths import check_words, refuse_foreign
from reproduce.data.datamodule import SegmentationDataModule
from reproduce.errors import UserError
from reproduce.experiments import merge
from reproduce.models import SegmentationModule
from reproduce.runs.checkpoints import read_checkpoint
from reproduce.runs.failure import explain

#: What jsonargparse raises for a wrong option.
PARSER_ERRORS = ("ArgumentError", "NSKeyError")

#: Lines of its messages that tell what is wrong and where.
TELLING = ("Parser key", "Problem with", "not accept", "not expected", "Expected", "required")

#: Values of ``--ckpt_path`` that are no files.
LIGHTNINGS_OWN = ("best", "last", "hpc", "registry")


class _Parsed(LightningCLI):
    """Stops after parsing."""

    def instantiate_classes(self) -> None:
        """Nothing."""


class _Limited(LightningCLI):
    """Builds classes of trusted packages only, and reads checkpoints without running code."""

    #: Packages that the user trusts as well.
    allow: tuple[str, ...] = ()

    def before_instantiate_classes(self) -> None:
        """Look at what was parsed: words, files and the options that a checkpoint brings."""
        refuse_foreign(self.config.as_dict(), "the configuration", self.allow)
        options = self.config[self.config.subcommand]
        if options.get("weights_only", False) is None:
            options["weights_only"] = True  # Lightning's default runs code from downloads


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
    the same numbers but for rounding, and a step of DeepLab-ResNet101 takes a third of the time.

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


def _check_checkpoint(arguments: list[str]) -> None:
    """Say so if what went wrong is the checkpoint that was named."""
    words = " ".join(arguments).replace("--ckpt_path=", "--ckpt_path ").split()
    for before, word in pairwise(words):
        if before != "--ckpt_path" or word in LIGHTNINGS_OWN or "://" in word:
            continue
        try:
            read_checkpoint(Path(word))
        except Exception as error:  # noqa: BLE001 - of many kinds for a damaged file
            more = "it holds more than weights, and reading it would run code"
            reason = more if isinstance(error, UnpicklingError) else explain(error)
            raise UserError(f"{word} cannot be read as a checkpoint ({reason})") from None


def run_command(arguments: list[str]) -> int:
    """``fit``, ``validate``, ``test`` or ``predict`` with LightningCLI's own options.

    Args:
        arguments: The command and its options; ``--allow PACKAGE`` among them, once or more, lets
            a configuration name classes of that package.

    Returns:
        0.

    Raises:
        UserError: On a mistake in the options, or if a class of another package is named.
    """
    parser = Parser(f"reproduce {arguments[0]}", add_help=False, allow_abbrev=False)
    parser.add_argument("--allow", action="append", default=[])
    options, arguments = parser.parse_known_args(arguments)
    check_words(arguments, options.allow)
    # LightningCLI reads the words of the process; given them as arguments it would warn.
    sys.argv = ["reproduce", *arguments]
    try:
        type("_Allowing", (_Limited,), {"allow": tuple(options.allow)})(
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
        if isinstance(error, UserError):
            raise UserError(explain(error)) from None  # one line, also from a loader's process
        if type(error).__name__ in PARSER_ERRORS:
            raise UserError(f"{arguments[0]}: {shorten(str(error))}") from None
        if isinstance(error, RuntimeError) and "state_dict" in str(error):
            reason = str(error).splitlines()[-1].strip()
            raise UserError(f"the checkpoint does not fit the model: {reason}") from None
        _check_checkpoint(arguments)
        raise
    return 0
