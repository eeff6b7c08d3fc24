"""What a run was executed on, and what it took of it."""

import platform
import resource
from pathlib import Path
from typing import Any

import torch


def hardware(device: torch.device, devices: int = 1) -> dict[str, Any]:
    """Name of the device, how many there were, and threads on the CPU."""
    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [line for line in info.read_text().splitlines() if line.startswith("model name")]
        cpu = names[0].split(":", 1)[1].strip() if names else cpu
    return {
        "device": torch.cuda.get_device_name() if device.type == "cuda" else cpu,
        "devices": devices,
        "threads": torch.get_num_threads(),
    }


def peak_memory(device: torch.device) -> int:
    """Peak memory in bytes: the accelerator's, or the process's own on a CPU."""
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated())
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
