"""Importing these modules registers their cases, in the order of the document."""

from tests.faults.cases import command_line, configurations, data, networks, running

__all__ = ["command_line", "configurations", "data", "networks", "running"]
