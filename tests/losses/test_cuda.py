"""The GPU kernels against the PyTorch path: on a GPU, or on the CPU by Triton's interpreter.

The interpreter must be chosen before triton is imported, so ``test_by_the_interpreter`` runs this
file once more in a process of its own.
"""

import importlib.util
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode

from reproduce.losses import CrossEntropyLevelSetLoss, cuda, fused, native
from reproduce.losses.fused import Options
from tests.losses.harness import VOID, gradient
from tests.losses.test_native import case

HAS_TRITON = importlib.util.find_spec("triton") is not None
INTERPRETED = HAS_TRITON and os.environ.get("TRITON_INTERPRET") == "1"
DEVICE = "cpu" if INTERPRETED else "cuda"
#: Relative to the largest element of a gradient, or to the value of a term.
TOLERANCE = 1e-5
#: Relative to each element: its rounding. Triton's interpreter cuts bfloat16 off.
ROUNDING = {
    torch.float32: TOLERANCE,
    torch.float16: 1e-3,
    torch.bfloat16: 2**-7 if INTERPRETED else 2**-8,
}

needs_triton = pytest.mark.skipif(not HAS_TRITON, reason="no triton")
needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
runs_kernels = pytest.mark.skipif(
    not INTERPRETED and not (HAS_TRITON and torch.cuda.is_available()),
    reason="neither a GPU nor Triton's interpreter",
)


@needs_triton
@pytest.mark.skipif(INTERPRETED, reason="this is the interpreter")
def test_by_the_interpreter() -> None:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST_")}
    environment |= {"TRITON_INTERPRET": "1", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", __file__]
    done = subprocess.run(
        command,
        check=False,
        env=environment,
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout[-20000:] + done.stderr[-2000:]


@pytest.fixture
def through(monkeypatch: pytest.MonkeyPatch) -> None:
    """The module takes the kernels, also for tensors on the CPU."""
    monkeypatch.setattr(fused, "can_use", lambda *_: True)
    monkeypatch.setattr(cuda, "_tried", {})


def assert_equal(
    logits: Tensor,
    target: Tensor,
    tolerance: float = TOLERANCE,
    upstream: float = 1,
    **changed: Any,
) -> None:
    options = Options(0.01, "mahf", 0.05, VOID, None)._replace(**changed)
    exact = fused._torch_terms(logits.double(), target, options, keep=True)
    leaf = logits.to(DEVICE).clone().requires_grad_()
    found = cuda.cuda_terms(leaf, target.to(DEVICE), *options)
    for ours, theirs in zip(found, exact[:3], strict=True):
        assert ours.dtype == torch.float32
        assert ours.item() == pytest.approx(theirs.item(), rel=tolerance, abs=1e-12)
    (found[0] * upstream).backward()
    assert leaf.grad is not None
    assert leaf.grad.dtype == logits.dtype
    expected = exact[3] * upstream
    near = max(tolerance, ROUNDING[logits.dtype])
    largest = expected.abs().max().item()
    torch.testing.assert_close(
        leaf.grad.double().cpu(), expected, rtol=near, atol=tolerance * largest
    )


@runs_kernels
class TestAgainstPyTorch:
    @pytest.mark.parametrize("kind", ["mahf", "ahf", "hf"])
    @pytest.mark.parametrize(
        "shape",
        [
            *[(1, 2, 1, 1), (1, 1, 3, 5), (5, 2, 1, 17), (2, 5, 31, 33)],
            *[(2, 21, 40, 48), (1, 60, 37, 29), (1, 150, 9, 11)],
        ],
        ids=str,
    )
    def test_shapes(self, shape: tuple[int, int, int, int], kind: str) -> None:
        assert_equal(*case(*shape), kind=kind)

    def test_every_class_present(self) -> None:
        assert_equal(*case(2, 60, 19, 23, used=1000))

    @pytest.mark.parametrize("kind", ["mahf", "ahf", "hf"])
    @pytest.mark.parametrize("eps", [0.05, 0.002, 1.0])
    @pytest.mark.parametrize(("lam", "area"), [(0, None), (4e-4, 4096.0), (0.5, None)])
    def test_options(self, kind: str, eps: float, lam: float, area: float | None) -> None:
        # A narrow step amplifies the rounding of P by 1/eps.
        near = max(TOLERANCE, 3e-7 / eps)
        assert_equal(*case(2, 6, 9, 13), near, kind=kind, eps=eps, lam=lam, reference_area=area)

    @pytest.mark.parametrize("ignore_index", [255, -100, 2, -(2**40)])
    def test_ignore_index(self, ignore_index: int) -> None:
        logits, target = case(2, 5, 9, 11)
        target[target == VOID] = ignore_index
        target[0] = ignore_index
        assert_equal(logits, target, ignore_index=ignore_index, reference_area=64.0)

    def test_all_void(self) -> None:
        logits, target = case(2, 5, 9, 11)
        leaf = logits.to(DEVICE).clone().requires_grad_()
        terms = cuda.cuda_terms(leaf, target.fill_(VOID).to(DEVICE), 1, "mahf", 0.05, VOID, None)
        terms[0].backward()
        assert [x.item() for x in terms] == [0, 0, 0]
        assert leaf.grad is not None
        assert leaf.grad.abs().max().item() == 0

    @pytest.mark.parametrize("size", [80.0, 1e4, 1e37])
    def test_extreme_logits(self, size: float) -> None:
        logits, target = case(2, 5, 9, 11)
        assert_equal(logits.sign() * size, target)
        assert_equal(logits * 1e-30, target)

    def test_minus_infinity(self) -> None:
        """A class that is ruled out: harmless unless it is the label."""
        logits, target = case(2, 5, 9, 11)
        target[target <= 1] = 2
        logits[:, :2] = -math.inf
        assert_equal(logits, target)
        target[1, 3, 4] = 1
        options = Options(0.01, "mahf", 0.05, VOID, None)
        assert cuda.cuda_terms(logits.to(DEVICE), target.to(DEVICE), *options)[0] == math.inf

    @pytest.mark.parametrize("value", [math.nan, math.inf])
    @pytest.mark.parametrize("label", [0, VOID])
    @pytest.mark.parametrize("channel", [0, 3])
    def test_not_finite(self, value: float, label: int, channel: int) -> None:
        logits, target = case(2, 5, 9, 11)
        options = Options(0.01, "mahf", 0.05, VOID, None)
        logits[1, channel, 8, 7], target[1, 8, 7] = value, label
        leaf = logits.to(DEVICE).clone().requires_grad_()
        loss = cuda.cuda_terms(leaf, target.to(DEVICE), *options)[0]
        loss.backward()
        assert not loss.isfinite()
        assert leaf.grad is not None
        assert not leaf.grad[1, :, 8, 7].isfinite().all()
        logits[1, :, 8, 7] = -math.inf
        assert cuda.cuda_terms(logits.to(DEVICE), target.to(DEVICE), *options)[0].isnan()

    @pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
    def test_half(self, dtype: torch.dtype) -> None:
        logits, target = case(2, 5, 31, 37)
        assert_equal(logits.to(dtype), target, upstream=1024)
        assert_equal((logits.sign() * 1e4).to(dtype), target, upstream=1024)

    def test_gradient_scaler_keeps_small_gradients(self) -> None:
        """Rounded to float16 after the factor."""
        logits, target = case(1, 3, 128, 128)
        assert_equal(logits.half(), target, upstream=65536, lam=0)

    def test_layouts(self) -> None:
        logits, target = case(2, 5, 9, 11)
        assert_equal(logits.to(memory_format=torch.channels_last), target)
        assert_equal(logits.transpose(2, 3), target.transpose(1, 2))
        for dtype in (torch.uint8, torch.int16, torch.int32):
            assert_equal(logits, target.to(dtype))

    def test_same_bits_again(self) -> None:
        logits, target = (x.to(DEVICE) for x in case(2, 7, 31, 33))
        loss = CrossEntropyLevelSetLoss(0.1)
        first, again = (gradient(loss, logits, target) for _ in range(2))
        assert torch.equal(first, again)


@runs_kernels
@pytest.mark.usefixtures("through")
class TestModule:
    def test_accumulates(self) -> None:
        logits, target = (x.to(DEVICE) for x in case(2, 5, 9, 11))
        loss = CrossEntropyLevelSetLoss(0.1)
        leaf = logits.clone().requires_grad_()
        terms = loss.terms(leaf, target)
        assert not terms.cross_entropy.requires_grad
        assert not terms.level_set.requires_grad
        terms.loss.backward(retain_graph=True)
        terms.loss.backward()
        torch.testing.assert_close(leaf.grad, 2 * gradient(loss, logits, target))
        with torch.no_grad():
            assert torch.equal(loss(leaf, target), terms.loss)

    def test_no_second_derivative(self) -> None:
        logits, target = (x.to(DEVICE) for x in case(1, 3, 4, 5))
        loss = CrossEntropyLevelSetLoss()(logits.requires_grad_(), target)
        (grad,) = torch.autograd.grad(loss, logits, create_graph=True)
        with pytest.raises(RuntimeError):
            grad.sum().backward()

    def test_label_of_no_class(self) -> None:
        loss = CrossEntropyLevelSetLoss()
        for label in (5, -1, 2**32, -(2**31)):
            logits, target = (x.to(DEVICE) for x in case(2, 5, 9, 11))
            logits.requires_grad_()
            bad = target.clone()
            bad[1, 7, 7] = label
            if DEVICE == "cuda":  # it is not waited for
                assert loss(logits, bad).isnan()
                torch.cuda.synchronize()
            with pytest.raises(ValueError, match=f"holds label {label}, expected 0 to 4 or 255"):
                loss(logits, bad if DEVICE == "cpu" else target)
            assert loss(logits, target).isfinite()

    @pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
    def test_compiles_without_a_graph_break(self, dtype: torch.dtype) -> None:
        torch._dynamo.reset()
        logits, target = (x.to(DEVICE) for x in case(2, 5, 9, 11))
        logits = logits.to(dtype)
        loss = CrossEntropyLevelSetLoss(0.01)

        def eager(z: Tensor, t: Tensor) -> Tensor:
            terms = loss.terms(2 * z, t)
            return terms.loss * 3 + terms.level_set

        compiled = torch.compile(eager, backend="aot_eager", fullgraph=True)
        assert torch.equal(compiled(logits, target), eager(logits, target))
        assert list(cuda._tried.values()) == [True]  # tried while the graph was made
        found, expected = (gradient(f, logits, target) for f in (compiled, eager))
        assert found.dtype == dtype
        assert torch.equal(found, expected)

    def test_operators(self) -> None:
        """Schema, fake implementation and autograd, by torch's own checks."""
        utilities = ("test_schema", "test_faketensor", "test_autograd_registration")
        logits, target = (x.to(DEVICE) for x in case(1, 3, 4, 5))
        for keep in (True, False):
            arguments = (logits.requires_grad_(keep), target, 0.01, "mahf", 0.05, VOID, None, keep)
            torch.library.opcheck(cuda._terms, arguments, test_utils=utilities)


class TestChoice:
    def test_inputs(self) -> None:
        def usable(
            dtype: torch.dtype = torch.float32,
            shape: tuple[int, ...] = (2, 3, 4, 5),
            kind: str = "mahf",
            device: str = "cuda",
            target_device: str = "cuda",
        ) -> bool:
            with FakeTensorMode():
                logits = torch.empty(shape, dtype=dtype, device=device)
                target = torch.empty(shape[0], *shape[2:], dtype=torch.long, device=target_device)
                return cuda.can_use(logits, target, kind)

        assert usable()
        assert usable(torch.bfloat16, kind="ahf")
        assert usable(torch.float16, kind="hf")
        assert not usable(torch.float64)
        assert not usable(kind="compact")
        assert not usable(shape=(2, 3, 0, 5))
        assert not usable(shape=(0, 3, 4, 5))
        assert not usable(shape=(1, 2000, 4, 5))
        assert not usable(shape=(1, 2, 40000, 40000))
        assert not usable(device="cpu", target_device="cpu")
        assert not usable(target_device="cpu")

    def test_falls_back(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Without triton, on a GPU that it does not know, or switched off."""
        device = torch.device("cuda", 0)
        monkeypatch.setattr(cuda, "_tried", {})
        with monkeypatch.context() as patch:
            patch.setattr(importlib.util, "find_spec", lambda _: None)
            assert not cuda.works(device, torch.float32)
        if not torch.cuda.is_available():
            assert not cuda.works(device, torch.float16)
        assert set(cuda._tried.values()) == {False}
        cuda._tried[device, torch.float32] = True
        assert cuda.works(device, torch.float32)
        monkeypatch.setenv(native.SWITCH, "0")
        assert not cuda.works(device, torch.float32)

    def test_labels_of_an_earlier_call(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Looked at in order, once they have arrived, each once."""

        class Event:
            done = False

            def query(self) -> bool:
                return self.done

        events = [Event(), Event()]
        monkeypatch.setattr(cuda, "_capturing", lambda: False)
        for event, high in zip(events, (4, 7), strict=True):
            cuda._unchecked.append(cuda._Labels(torch.tensor([0, high]), event, 5, VOID))  # type: ignore[arg-type]
        events[1].done = True
        cuda.check_earlier_labels()
        assert len(cuda._unchecked) == 2
        events[0].done = True
        with pytest.raises(ValueError, match="target of an earlier call holds label 7"):
            cuda.check_earlier_labels()
        cuda.check_earlier_labels()
        assert not cuda._unchecked


@needs_triton
@pytest.mark.skipif(INTERPRETED, reason="the interpreter compiles nothing")
@pytest.mark.parametrize("pixels", ["i32", "one"])
def test_compiles_for_a_gpu_that_is_not_there(
    pixels: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the interpreter lets pass: types that change in a loop."""
    from triton import compile as compile_kernel
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    from reproduce.losses import cuda_kernels as kernels

    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    types = dict.fromkeys(("labels",), "*i16") | dict.fromkeys(("present", "valid"), "*i32")
    types |= dict.fromkeys(("target", "extremes"), "*i64") | {"images": "*fp64"}
    types |= dict.fromkeys(("logits", "largest", "grad"), "*bf16")
    types |= dict.fromkeys(("pixels", "classes", "blocks", "batch", "ignore"), "i32")
    types |= dict.fromkeys(("inverse_eps", "lam", "area", "constant"), "fp32")
    fixed: dict[str, dict[str, Any]] = {
        "labels_kernel": {"block": 2048},
        "sums_kernel": {"kind": 0, "keep": True, "rows": 4, "block": 1024},
        "energy_kernel": {"width": 32, "rows": 128},
        "terms_kernel": {"width": 16},
        "gradient_kernel": {"kind": 1, "rows": 1, "block": 1024},
    }
    for name, constants in fixed.items():
        kernel = getattr(kernels, name)
        names = kernel.arg_names
        if pixels == "one":  # Triton makes constants of ones
            constants |= {k: 1 for k in ("pixels", "classes") if k in names}
        signature = {
            k: "constexpr" if k in constants else types.get(k, "*fp32") for k in kernel.arg_names
        }
        source = ASTSource(kernel, signature, {(names.index(k),): v for k, v in constants.items()})
        assert compile_kernel(source, target=GPUTarget("cuda", 80, 32)).asm["ptx"]


@needs_triton
@needs_gpu
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_bandwidth(dtype: torch.dtype, capsys: pytest.CaptureFixture[str]) -> None:
    """Forward and backward against a copy: two reads and one write of the logits are needed."""
    logits, target = case(8, 21, 512, 512)
    logits, target = logits.to("cuda", dtype).requires_grad_(), target.cuda()
    loss = CrossEntropyLevelSetLoss()

    def milliseconds(work: Any, calls: int = 20) -> float:
        for _ in range(3):
            work()
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        for _ in range(calls):
            work()
        end.record()
        torch.cuda.synchronize()
        return float(start.elapsed_time(end)) / calls

    ours = milliseconds(lambda: torch.autograd.grad(loss(logits, target), logits))
    copy = milliseconds(logits.detach().clone)
    with capsys.disabled():
        print(f"\n{dtype}: {ours:.3f} ms, {1.5 * copy / ours:.0%} of a copy's bandwidth")
    assert ours < 10 * copy
