"""Which GPUs a driver may use, and which run gets which."""

import os
import subprocess
from collections import Counter
from collections.abc import Sequence

from reproduce.runs.job import Job


def visible_devices() -> list[str]:
    """Names of this machine's GPUs as ``CUDA_VISIBLE_DEVICES`` takes them, without loading torch.

    The variable itself limits them.
    """
    given = os.environ.get("CUDA_VISIBLE_DEVICES")
    if given is not None:
        return [name.strip() for name in given.split(",") if name.strip() not in ("", "-1")]
    try:
        command = ["nvidia-smi", "--list-gpus"]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    except (OSError, subprocess.SubprocessError):
        return []
    gpus = [line for line in done.stdout.splitlines() if line.startswith("GPU ")]
    return [str(number) for number in range(len(gpus))]


def devices_of(job: Job) -> int:
    """Devices that a run asks for: 1 for all but trainings on several."""
    devices = job.config["trainer"].get("devices", 1)
    return devices if isinstance(devices, int) and devices > 0 and job.kind == "training" else 1


def choose_devices(
    job: Job, devices: Sequence[str], taken: Sequence[str], share: int
) -> list[str] | None:
    """GPUs for a run.

    Args:
        job: The run.
        devices: GPUs of the machine.
        taken: Those that runs are on, once for each run.
        share: Most runs on one GPU.

    Returns:
        The least used ones; empty if the run needs none or wants more than there are (Lightning
        will say so); ``None`` if it has to wait.
    """
    wanted = devices_of(job)
    if job.config["trainer"].get("accelerator") == "cpu" or wanted > len(devices):
        return []
    used = Counter(taken)
    free = sorted((name for name in devices if used[name] < share), key=lambda name: used[name])
    return free[:wanted] if len(free) >= wanted else None
