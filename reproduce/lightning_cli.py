"""LightningCLI over the configurations under ``experiments/``."""

from collections.abc import Mapping
from typing import Any

from lightning.pytorch.cli import LightningCLI

from reproduce.data.modules import SegmentationDataModule
from reproduce.errors import UserError
from reproduce.experiments import merge
from reproduce.models import SegmentationModule

#: What jsonargparse raises for a wrong option.
PARSER_ERRORS = ("ArgumentError", "NSKeyError")


def build_cli(config: Mapping[str, Any], trainer: Mapping[str, Any] | None = None) -> LightningCLI:
    """Trainer, model and data of a configuration, instantiated and seeded.

    Args:
        config: ``seed_everything``, ``model``, ``data`` and ``trainer``.
        trainer: Further options of the trainer, objects allowed.

    Raises:
        UserError: If the configuration does not fit the classes; the message names the option.
    """
    try:
        return LightningCLI(
            SegmentationModule,
            SegmentationDataModule,
            subclass_mode_model=True,
            subclass_mode_data=True,
            save_config_callback=None,
            trainer_defaults=dict(trainer or {}),
            parser_kwargs={"exit_on_error": False},
            run=False,
            args=merge(config, {}),
        )
    except Exception as error:
        if type(error).__name__ not in PARSER_ERRORS:
            raise
        raise UserError(f"configuration: {shorten(str(error))}") from None


def shorten(message: str) -> str:
    """The telling part of one of jsonargparse's messages, in one line."""
    lines = [line.strip(" -") for line in message.splitlines() if line.strip()]
    telling = [line for line in lines if "not expected" in line or "Expected" in line]
    return "; ".join((telling or lines)[-2:])


def run_command(arguments: list[str]) -> int:
    """``fit``, ``validate``, ``test`` or ``predict`` with LightningCLI's own options.

    Returns:
        0.

    Raises:
        UserError: On a mistake in the options.
    """
    try:
        LightningCLI(
            SegmentationModule,
            SegmentationDataModule,
            subclass_mode_model=True,
            subclass_mode_data=True,
            save_config_callback=None,
            parser_kwargs={"allow_abbrev": False, "exit_on_error": False},
            args=arguments,
        )
    except Exception as error:
        if type(error).__name__ not in PARSER_ERRORS:
            raise
        raise UserError(f"{arguments[0]}: {shorten(str(error))}") from None
    return 0
