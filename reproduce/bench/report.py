"""What every benchmark says of the machine, and where it writes."""

import json
import os
from pathlib import Path
from typing import Any

import torch

from reproduce.bench.statistics import Around
from reproduce.files import write_atomically
from reproduce.runs.machine import hardware


def choose_device(name: str) -> torch.device:
    """``cpu``, ``cuda``, or for ``auto`` an accelerator if there is one."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(name)


def environment(device: torch.device) -> dict[str, Any]:
    """What the numbers were measured on."""
    return {**hardware(device), "cores": os.cpu_count() or 1, "torch": torch.__version__}


def setting(facts: dict[str, Any]) -> str:
    """The same as a sentence."""
    return (
        f"{facts['device']}, threads: {facts['threads']} on {facts['cores']} cores, torch "
        f"{facts['torch']}."
    )


def seconds_text(value: float) -> str:
    """Three digits with a unit."""
    for unit, factor in (("s", 1.0), ("ms", 1e3)):
        if value * factor >= 1:
            return f"{value * factor:#.3g} {unit}".replace(". ", " ")
    return f"{value * 1e6:.0f} µs"


def bytes_text(value: int | None) -> str:
    """Mebibytes, a dash for unknown."""
    return "–" if value is None else f"{value / 2**20:.1f} MiB"


def around_seconds(value: Around) -> str:
    """Median seconds with what goes around them."""
    low, median, high = map(seconds_text, value)
    return f"{median} ({low} to {high})"


def save(name: str, text: str, results: dict[str, Any], out: Path | None) -> str:
    """Write ``bench_<name>.md`` and ``.json`` if a folder is given.

    Returns:
        The Markdown.
    """
    if out is not None:
        write_atomically(out / f"bench_{name}.md", text + "\n")
        write_atomically(out / f"bench_{name}.json", json.dumps(results, indent=1) + "\n")
    return text
