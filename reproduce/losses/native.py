"""Fused loss of float32 logits on a CPU in C (``native.c``), compiled at its first use."""

import ctypes
import hashlib
import logging
import os
import platform
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from reproduce.losses.heaviside import HeavisideKind

log = logging.getLogger(__name__)

SOURCE = Path(__file__).with_suffix(".c")
HEADER = Path(__file__).with_name("native_math.h")
#: No -ffast-math: NaN and infinities keep their meaning.
FLAGS = (
    *("-std=gnu11", "-O3", "-fPIC", "-shared"),
    *("-fopenmp-simd", "-ffp-contract=fast", "-fno-math-errno", "-fno-trapping-math"),
)
#: Tried in this order.
MACHINE_FLAGS: tuple[tuple[str, ...], ...] = (("-march=native",), ())
#: Set to 0 to do without the kernel.
SWITCH = "REPRODUCE_NATIVE"
#: The Heaviside functions it knows, as in ``native_math.h``.
KINDS: dict[HeavisideKind, int] = {"mahf": 0, "ahf": 1, "hf": 2}

_BAD_LABEL = 1
_NO_MEMORY = 2


class Kernel(NamedTuple):
    """The compiled function, and the one of torch's OpenMP runtime that shares work out."""

    run: Any
    parallel: ctypes.c_void_p


def _compiler() -> str | None:
    for name in (os.environ.get("CC"), "cc", "gcc", "clang"):
        found = shutil.which(name) if name else None
        if found:
            return found
    return None


def _cpu() -> str:
    """What ``-march=native`` depends on: a home directory may be shared by unlike machines."""
    name = f"{platform.machine()} {platform.processor()}"
    try:
        with Path("/proc/cpuinfo").open(encoding="utf-8", errors="replace") as file:
            for line in file:
                if line.startswith(("model name", "flags", "Features", "CPU part")):
                    name += line
                if not line.strip():  # the other processors are like the first
                    break
    except OSError:
        pass
    return name


def cache_folder() -> Path | None:
    """Folder of compiled kernels that only its owner can write, or ``None`` if there is none."""
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    try:
        folder = Path(base).expanduser() / "level-set-loss-reproduction"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = folder.lstat()
    except (OSError, RuntimeError):  # RuntimeError: no home
        return None
    own = status.st_uid == os.getuid() and status.st_mode & 0o777 == 0o700
    return folder if own and folder.is_dir() and os.access(folder, os.W_OK) else None


def _compile(compiler: str, flags: tuple[str, ...], library: Path) -> bool:
    """Make the library under another name first: other processes may do the same."""
    handle, name = tempfile.mkstemp(suffix=".so", dir=library.parent)
    os.close(handle)
    command = [compiler, *FLAGS, *flags, "-o", name, str(SOURCE)]
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
        Path(name).replace(library)
    except (OSError, subprocess.SubprocessError) as error:
        Path(name).unlink(missing_ok=True)
        log.debug("%s: %s", " ".join(command), getattr(error, "stderr", None) or error)
        return False
    return True


def _load(folder: Path, compiler: str, source: bytes) -> ctypes.CDLL | None:
    cpu = _cpu()
    for flags in MACHINE_FLAGS:
        text = "\n".join([compiler, *FLAGS, *flags, cpu])
        key = hashlib.sha256(source + text.encode()).hexdigest()[:24]
        library = folder / f"native-{key}.so"
        if library.is_file() or _compile(compiler, flags, library):
            return ctypes.CDLL(str(library))
    return None


def _parallel() -> ctypes.c_void_p:
    """``GOMP_parallel`` of the runtime torch is linked to: a second one would fight for the CPUs.

    Raises:
        AttributeError: If torch has another kind of threads.
    """
    found = ctypes.CDLL(torch._C.__file__).GOMP_parallel  # noqa: SLF001 - torch's own library
    return ctypes.cast(found, ctypes.c_void_p)


@cache
def _build() -> Kernel | None:
    compiler = _compiler()
    if os.name != "posix" or compiler is None:
        log.debug("no native loss: no C compiler")
        return None
    try:
        parallel, folder = _parallel(), cache_folder()
        source = SOURCE.read_bytes() + HEADER.read_bytes()
        if folder is not None:
            library = _load(folder, compiler, source)
        else:
            with tempfile.TemporaryDirectory() as private:
                library = _load(Path(private), compiler, source)
        if library is None:
            return None
        run = library.level_set_run
    except (OSError, AttributeError) as error:
        log.debug("no native loss: %s", error)
        return None
    run.restype = ctypes.c_int
    integer, real, pointer = ctypes.c_int64, ctypes.c_double, ctypes.c_void_p
    run.argtypes = [pointer, pointer, pointer, *[integer] * 4, ctypes.c_int, *[real] * 3]
    run.argtypes += [pointer, ctypes.c_int, pointer]
    return Kernel(run, parallel)


def native_kernel() -> Kernel | None:
    """The kernel, compiled or loaded once in a process, or ``None`` where there is none."""
    return None if os.environ.get(SWITCH) == "0" else _build()


def native_terms(
    kernel: Kernel,
    logits: Tensor,
    target: Tensor,
    grad: Tensor | None,
    lam: float,
    kind: HeavisideKind,
    eps: float,
    ignore_index: int,
    reference_area: float | None,
) -> tuple[float, float, float] | None:
    """Loss, cross-entropy and energy of a batch; the gradient is left in ``grad``.

    Args:
        kernel: That of :func:`native_kernel`.
        logits: ``(B, C, H, W)``, contiguous float32 on the CPU, not empty.
        target: ``(B, H, W)``, contiguous int64 on the CPU.
        grad: Contiguous float32 like ``logits``, which it may be; ``None``: no gradient.
        lam: Weight of the energy.
        kind: One of ``KINDS``.
        eps: Width of the Heaviside function.
        ignore_index: Label of void.
        reference_area: In pixels, or ``None``.

    Returns:
        The terms, or ``None`` if a label is neither void nor a class.

    Raises:
        MemoryError: If there is no room for the sums.
    """
    batch, classes, height, width = logits.shape
    terms = (ctypes.c_double * 3)()
    code = kernel.run(
        logits.data_ptr(),
        target.data_ptr(),
        None if grad is None else grad.data_ptr(),
        batch,
        classes,
        height * width,
        ignore_index,
        KINDS[kind],
        eps,
        lam,
        reference_area or 0.0,
        kernel.parallel,
        torch.get_num_threads(),
        terms,
    )
    if code == _NO_MEMORY:
        raise MemoryError("no memory for the sums of the level set loss")
    return None if code == _BAD_LABEL else (terms[0], terms[1], terms[2])
