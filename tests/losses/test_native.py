"""The C kernel against the PyTorch path, and what happens where there is none."""

import math
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
import torch
from torch import Tensor

from reproduce.bench.measure import peak_bytes
from reproduce.losses import CrossEntropyLevelSetLoss, fused, native
from reproduce.losses.fused import Options
from reproduce.losses.heaviside import HeavisideKind
from tests.losses.harness import VOID, gradient

needs_kernel = pytest.mark.skipif(native.native_kernel() is None, reason="no C compiler")

#: Relative to the largest element of a gradient, or to the value of a term.
TOLERANCE = 1e-5

Result = tuple[Tensor, Tensor, Tensor, Tensor]


def case(
    batch: int, num_classes: int, height: int, width: int, *, spread: float = 2, used: int = 4
) -> tuple[Tensor, Tensor]:
    """Logits that partly know the labels; stripes of some classes, void pixels."""
    generator = torch.Generator().manual_seed(num_classes * height + width)
    target = torch.arange(height * width).view(1, height, width) // 5 % min(used, num_classes)
    target = (target + torch.arange(batch).view(-1, 1, 1)) % num_classes
    logits = torch.randn(batch, num_classes, height, width, generator=generator) * spread
    hint = torch.rand(target.shape, generator=generator).unsqueeze(1) * 3 * spread
    logits.scatter_add_(1, target.unsqueeze(1), hint)
    target[torch.rand(target.shape, generator=generator) < 0.1] = VOID
    return logits, target


def both(logits: Tensor, target: Tensor, **changed: Any) -> tuple[Result, Result]:
    """The kernel's result, and that of the PyTorch path in float64."""
    options = Options(0.01, "mahf", 0.05, VOID, None)._replace(**changed)
    assert native.native_kernel() is not None
    exact = fused._torch_terms(logits.double(), target, options, keep=True)
    return fused._terms(logits, target, options, keep=True), exact


def assert_equal(logits: Tensor, target: Tensor, tolerance: float = TOLERANCE, **x: Any) -> None:
    found, expected = both(logits, target, **x)
    assert [part.dtype for part in found] == [torch.float32] * 4
    for ours, theirs in zip(found[:3], expected[:3], strict=True):
        assert ours.item() == pytest.approx(theirs.item(), rel=tolerance, abs=1e-12)
    largest = expected[3].abs().max().item()
    torch.testing.assert_close(
        found[3].double(), expected[3], rtol=tolerance, atol=tolerance * largest
    )


@needs_kernel
class TestAgainstPyTorch:
    @pytest.mark.parametrize("kind", ["mahf", "ahf", "hf"])
    @pytest.mark.parametrize("eps", [0.05, 0.002, 1.0])
    @pytest.mark.parametrize("lam", [0, 4e-4, 0.5])
    @pytest.mark.parametrize("area", [None, 4096.0])
    def test_options(self, kind: str, eps: float, lam: float, area: float | None) -> None:
        # A narrow step amplifies the rounding of P by 1/eps.
        assert_equal(
            *case(3, 6, 19, 23),
            max(TOLERANCE, 3e-7 / eps),
            kind=kind,
            eps=eps,
            lam=lam,
            reference_area=area,
        )

    @pytest.mark.parametrize("kind", ["mahf", "ahf", "hf"])
    @pytest.mark.parametrize(
        "shape",
        [
            (1, 2, 1, 1),
            (1, 1, 3, 5),
            (3, 2, 1, 17),
            (2, 5, 31, 33),
            (2, 21, 41, 41),
            (1, 21, 200, 203),
            (7, 60, 64, 64),
            (2, 300, 13, 29),
        ],
        ids=str,
    )
    def test_shapes(self, shape: tuple[int, int, int, int], kind: str) -> None:
        assert_equal(*case(*shape), kind=kind)
        assert_equal(*case(*shape, used=1000), kind=kind)

    def test_heaviside_that_the_kernel_does_not_know(self) -> None:
        unknown = set(get_args(HeavisideKind)) - set(native.KINDS)
        for kind in unknown:
            assert_equal(*case(2, 5, 9, 11), kind=kind)

    @pytest.mark.parametrize("ignore_index", [255, -100, 2, -(2**40)])
    def test_ignore_index(self, ignore_index: int) -> None:
        logits, target = case(2, 5, 9, 11)
        target[target == VOID] = ignore_index
        target[0] = ignore_index
        assert_equal(logits, target, ignore_index=ignore_index, reference_area=64.0)

    def test_all_void(self) -> None:
        logits, target = case(2, 5, 9, 11)
        loss, _, energy, grad = both(logits, target.fill_(VOID))[0]
        assert loss.item() == energy.item() == grad.abs().max().item() == 0

    @pytest.mark.parametrize("size", [80.0, 1e4, 1e37])
    def test_extreme_logits(self, size: float) -> None:
        logits, target = case(2, 5, 9, 11)
        assert_equal(logits.sign() * size, target)
        assert_equal(logits * 1e-30, target)

    def test_minus_infinity(self) -> None:
        """A class that is ruled out: harmless unless it is the label."""
        logits, target = case(2, 5, 9, 11)
        target[target == 1] = 0
        logits[:, 1] = -math.inf
        assert_equal(logits, target)
        target[1, 3, 4] = 1
        assert both(logits, target)[0][0].item() == math.inf

    @pytest.mark.parametrize("value", [math.nan, math.inf])
    @pytest.mark.parametrize("label", [0, VOID])
    @pytest.mark.parametrize("channel", [0, 3])
    def test_not_finite(self, value: float, label: int, channel: int) -> None:
        logits, target = case(2, 5, 19, 11)
        logits[1, channel, 18, 7], target[1, 18, 7] = value, label
        found, expected = both(logits, target)
        assert not math.isfinite(found[0])
        assert not math.isfinite(expected[0])
        assert not found[3][1, :, 18, 7].isfinite().all()
        logits[1, :, 18, 7] = -math.inf
        assert math.isnan(both(logits, target)[0][0])

    def test_layouts(self) -> None:
        logits, target = case(2, 5, 9, 11)
        before = logits.clone()
        assert_equal(logits.to(memory_format=torch.channels_last), target)
        assert_equal(logits.transpose(2, 3), target.transpose(1, 2))
        assert_equal(logits[:, ::2], target.masked_fill(target > 2, VOID))
        assert_equal(logits, target.to(torch.uint8))
        assert torch.equal(logits, before)

    @pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
    def test_half(self, dtype: torch.dtype) -> None:
        logits, target = case(2, 5, 9, 11)
        half = logits.to(dtype)
        before = half.clone()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            assert_equal(half, target)
            grad = gradient(CrossEntropyLevelSetLoss(), half, target)
        assert grad.dtype == dtype
        assert torch.equal(half, before)

    def test_label_of_no_class(self) -> None:
        logits, target = case(2, 5, 40, 41)
        for label in (5, -1, 2**32, -(2**31)):
            target[1, 30, 7] = label
            with pytest.raises(ValueError, match=f"target holds label {label}, expected 0 to 4"):
                CrossEntropyLevelSetLoss()(logits, target)


@needs_kernel
def test_threads_change_nothing() -> None:
    """Bit for bit."""
    logits, target = case(3, 21, 150, 151)
    results = []
    for threads in (1, 2, 3, 5):
        torch.set_num_threads(threads)
        results.append(both(logits, target)[0])
    for other in results[1:]:
        for ours, theirs in zip(results[0], other, strict=True):
            assert torch.equal(ours, theirs)


@needs_kernel
def test_memory() -> None:
    """One gradient, and none where none is wanted."""
    logits, target = case(2, 21, 100, 100)
    loss, leaf = CrossEntropyLevelSetLoss(), logits.clone().requires_grad_()
    size = logits.numel() * 4
    assert peak_bytes(lambda: loss(logits, target)) < size / 100
    assert size <= peak_bytes(lambda: loss(leaf, target).backward()) < size * 1.01


@pytest.mark.parametrize("kernel", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_compiles_without_a_graph_break(
    kernel: bool, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(native.SWITCH, str(int(kernel)))
    torch._dynamo.reset()
    logits, target = case(2, 5, 9, 11)
    logits = logits.to(dtype)
    loss = CrossEntropyLevelSetLoss(0.01)

    def eager(z: Tensor, t: Tensor) -> Tensor:
        terms = loss.terms(2 * z, t)
        return terms.loss * 3 + terms.level_set

    compiled = torch.compile(eager, backend="aot_eager", fullgraph=True)
    for loss.lam in (0.01, 0.02, 0.0):
        assert torch.equal(compiled(logits, target), eager(logits, target))
        found, expected = (gradient(f, logits, target) for f in (compiled, eager))
        assert found.dtype == dtype
        assert torch.equal(found, expected)
    with torch.inference_mode():
        assert torch.equal(compiled(logits, target), eager(logits, target))


@needs_kernel
def test_operator() -> None:
    """Schema, fake implementation and autograd of the operator, by torch's own checks."""
    logits, target = case(1, 3, 4, 5)
    for keep in (True, False):
        arguments = (logits.requires_grad_(keep), target, 0.01, "mahf", 0.05, VOID, None, keep)
        torch.library.opcheck(
            fused._compiled_terms,
            arguments,
            test_utils=("test_schema", "test_faketensor", "test_autograd_registration"),
        )


@pytest.fixture
def fresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A process that has not looked for the kernel, with an empty cache folder."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    native._build.cache_clear()
    yield tmp_path / "cache"
    native._build.cache_clear()


def loss_without_kernel() -> float:
    assert native.native_kernel() is None
    logits, target = case(2, 5, 9, 11)
    return float(CrossEntropyLevelSetLoss(0.01)(logits, target))


def test_without_compiler(fresh: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    logits, target = case(2, 5, 9, 11)
    options = Options(0.01, "mahf", 0.05, VOID, None)
    expected = fused._torch_terms(logits, target, options, keep=True)[0].item()
    monkeypatch.setenv("CC", "false")
    assert loss_without_kernel() == expected
    assert not list(fresh.rglob("*.so"))
    native._build.cache_clear()
    monkeypatch.delenv("CC")
    monkeypatch.setenv("PATH", "")
    assert loss_without_kernel() == expected


def test_switched_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(native.SWITCH, "0")
    assert loss_without_kernel() > 0


@needs_kernel
def test_folder_of_somebody_else(fresh: Path) -> None:
    """One that others may write is not used; the kernel is compiled for this process alone."""
    folder = native.cache_folder()
    assert folder is not None
    assert folder.stat().st_mode & 0o777 == 0o700
    folder.chmod(0o770)
    assert native.cache_folder() is None
    assert native.native_kernel() is not None
    assert not list(fresh.rglob("*.so"))


@needs_kernel
def test_two_processes_compile_at_once(tmp_path: Path) -> None:
    code = (
        "from reproduce.losses.native import native_kernel; "
        "import sys; sys.exit(native_kernel() is None)"
    )
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path)}
    command = [sys.executable, "-c", code]
    processes = [subprocess.Popen(command, env=environment) for _ in range(2)]
    assert [process.wait(timeout=120) for process in processes] == [0, 0]
    assert len(list(tmp_path.rglob("*"))) == 2  # the folder and one library


@needs_kernel
def test_compiles_without_warnings(tmp_path: Path) -> None:
    compiler = native._compiler()
    assert compiler is not None
    command = [compiler, *native.FLAGS, "-Wall", "-Wextra", "-Werror"]
    subprocess.run([*command, "-o", str(tmp_path / "x.so"), str(native.SOURCE)], check=True)
