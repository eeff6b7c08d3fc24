"""The pool: equal answers with any number of workers, none lost, none left behind."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest
import torch

from reproduce.postprocess import CRFError, CRFPool, DenseCRF
from tests.postprocess import reducers
from tests.postprocess.scenes import scene

CRF = DenseCRF(iterations=2)
IMAGE, P = scene(8, 8)


def gone(pid: int) -> bool:
    """Whether a process ends within 5 seconds."""
    for _ in range(100):
        status = Path(f"/proc/{pid}/stat")
        if not status.exists() or status.read_text().rsplit(")")[-1].split()[0] == "Z":
            return True
        time.sleep(0.05)
    return False


def test_equal_answers_with_0_1_and_2_workers() -> None:
    scenes = [scene(10 + i, 12 - i, seed=i) for i in range(6)]
    expected = {i: CRF(*item).argmax(0) for i, item in enumerate(scenes)}
    for workers in (0, 1, 2):
        progress = Mock()
        with CRFPool(CRF, workers, queue=2, progress=progress) as pool:
            for i, (image, p) in enumerate(scenes):
                pool.submit(i, torch.from_numpy(image), torch.from_numpy(p))
        results = dict(pool.results())
        assert set(results) == set(expected)
        for i, labels in results.items():
            assert labels.dtype == np.uint8
            assert np.array_equal(labels, expected[i])
        assert [call.args[0] for call in progress.call_args_list] == [1, 2, 3, 4, 5, 6]
        progress.assert_called_with(6, 6)


@pytest.mark.parametrize("workers", [0, 1])
def test_results_can_be_taken_on_the_way_and_reduced_to_a_confusion_matrix(workers: int) -> None:
    target = P.argmax(0)
    target[0] = 255
    total, keys = np.zeros((3, 3), np.int64), list[int]()
    with CRFPool(CRF, workers, reduce=reducers.confusion) as pool:
        for i in range(5):
            pool.submit(i, IMAGE, P, torch.from_numpy(target))
            for key, matrix in pool.results(wait=False):
                keys.append(key)
                total += matrix
        for key, matrix in pool.results():
            keys.append(key)
            total += matrix
    assert sorted(keys) == list(range(5))
    assert np.array_equal(total, 5 * reducers.confusion(CRF(IMAGE, P), target))
    assert list(pool.results()) == []


def test_more_than_256_classes_need_wider_labels() -> None:
    p = np.full((300, 8, 8), 0.5 / 299, np.float32)
    p[280] = 0.5
    with CRFPool(CRF, workers=0) as pool:
        pool.submit(0, IMAGE, p)
    ((_, labels),) = pool.results()
    assert labels.dtype == np.int32
    assert (labels == 280).all()


@pytest.mark.parametrize("workers", [1, 2])
def test_a_killed_worker_loses_nothing(workers: int, tmp_path: Path) -> None:
    """Each image takes its first worker down; the numbers are those of a quiet run."""
    with CRFPool(CRF, workers, reduce=reducers.die_once) as pool:
        for i in range(3):
            pool.submit(i, *scene(8, 8, seed=i), tmp_path / str(i))
    assert dict(pool.results()) == {i: float(CRF(*scene(8, 8, seed=i))[0].mean()) for i in range(3)}
    assert len(list(tmp_path.iterdir())) == 3


def test_an_idle_worker_that_was_killed_is_replaced() -> None:
    with CRFPool(CRF, workers=1, reduce=reducers.process) as pool:
        pool.submit("before", IMAGE, P)
        ((_, (first, _)),) = pool.results()
        os.kill(first, signal.SIGKILL)
        pool.submit("after", IMAGE, P)
        ((key, (second, _)),) = pool.results()
    assert key == "after"
    assert second != first
    assert gone(second)


def test_an_image_that_kills_every_worker_is_given_up() -> None:
    pool = CRFPool(CRF, workers=1, reduce=reducers.die)
    with pytest.raises(CRFError, match=r"image 'bad': 3 workers died.*killed by SIGKILL"), pool:
        pool.submit("bad", IMAGE, P)


def test_workers_do_not_load_torch_nor_this_main_module() -> None:
    with CRFPool(CRF, workers=1, reduce=reducers.process) as pool:
        pool.submit(0, IMAGE, torch.from_numpy(P))
    ((_, (pid, torch_loaded)),) = pool.results()
    assert pid != os.getpid()
    assert not torch_loaded


@pytest.mark.parametrize("workers", [0, 2])
def test_errors_name_the_image_and_the_others_go_on(workers: int) -> None:
    with CRFPool(CRF, workers, reduce=reducers.fail) as pool:
        pool.submit("a", IMAGE, P, False)
        pool.submit("b", IMAGE, P, True)
        seen = list[str]()
        with pytest.raises(CRFError) as caught:
            seen.extend(key for key, _ in pool.results())
        pool.submit("c", IMAGE, P, False)
        seen.extend(key for key, _ in pool.results())
    assert sorted(seen) == ["a", "c"]
    assert caught.value.key == "b"
    assert str(caught.value) == "image 'b': KeyError: 'no such thing'"
    assert "reducers.py" in caught.value.__notes__[0]


@pytest.mark.parametrize("workers", [0, 1])
def test_wrong_inputs_reach_the_caller_with_their_key(workers: int) -> None:
    pool = CRFPool(CRF, workers)
    message = r"image 7: ValueError: expected probabilities.*upsample"
    with pytest.raises(CRFError, match=message), pool:
        pool.submit(7, IMAGE, P[:, :4])


def test_an_earlier_error_stops_the_caller_at_its_next_image() -> None:
    with CRFPool(CRF, workers=0, reduce=reducers.fail) as pool:
        pool.submit("a", IMAGE, P, True)
        with pytest.raises(CRFError, match="image 'a'"):
            pool.submit("b", IMAGE, P, False)
        pool.submit("b", IMAGE, P, False)
        assert list(pool.results()) == [("b", 0)]


def test_results_that_cannot_travel_are_errors() -> None:
    pool = CRFPool(CRF, workers=1, reduce=reducers.not_picklable)
    with pytest.raises(CRFError, match=r"image 0: .*pickle"), pool:
        pool.submit(0, IMAGE, P)


def test_submit_blocks_while_the_queue_is_full() -> None:
    with CRFPool(CRF, workers=1, queue=2, reduce=reducers.sleep) as pool:
        pool.submit("warm", IMAGE, P, 0)
        list(pool.results())
        begun, times = time.monotonic(), []
        for i in range(3):
            pool.submit(i, IMAGE, P, 0.8)
            times.append(time.monotonic() - begun)
    assert times[1] < 0.7
    assert times[2] >= 0.8


def test_the_caller_may_overwrite_what_it_submitted() -> None:
    image, p = IMAGE.copy(), P.copy()
    with CRFPool(CRF, workers=1) as pool:
        pool.submit(0, image, p)
        image[:], p[:] = 0, np.nan
    ((_, labels),) = pool.results()
    assert np.array_equal(labels, CRF(IMAGE, P).argmax(0))


def test_an_error_in_the_block_ends_the_workers_at_once() -> None:
    begun = time.monotonic()
    pool = CRFPool(CRF, workers=2, reduce=reducers.sleep)

    def block() -> None:
        with pool:
            for i in range(4):
                pool.submit(i, IMAGE, P, 60)
            raise InterruptedError

    with pytest.raises(InterruptedError):
        block()
    assert time.monotonic() - begun < 10
    assert list(pool.results()) == []
    with pytest.raises(ValueError, match="closed"):
        pool.submit(9, IMAGE, P, 0)


@pytest.mark.parametrize("kill", [signal.SIGINT, signal.SIGKILL, signal.SIGTERM])
def test_no_worker_outlives_its_caller(kill: signal.Signals, tmp_path: Path) -> None:
    """On Ctrl-C at once; if the caller is killed, workers end when they next look at the pipe."""
    program = """
        from pathlib import Path
        import signal
        import sys
        from reproduce.postprocess import CRFPool, DenseCRF
        from tests.postprocess import reducers
        from tests.postprocess.scenes import scene

        signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background has none
        reduce = {reduce}
        with CRFPool(DenseCRF(iterations=2), reduce=reduce) as pool:
            for i in range(4):
                pool.submit(i, *scene(8, 8), Path({folder!r}))
            list(pool.results())
            Path({folder!r}, "idle").touch()
            import time; time.sleep(60)
    """
    hang = kill == signal.SIGINT
    reduce = "reducers.announce_and_sleep" if hang else "reducers.announce"
    source = textwrap.dedent(program).format(reduce=reduce, folder=str(tmp_path))
    caller = subprocess.Popen(
        [sys.executable, "-c", source],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    ready = (lambda: len(pids()) == 2) if hang else (tmp_path / "idle").exists

    def pids() -> list[int]:
        return [int(path.name) for path in tmp_path.iterdir() if path.name.isdigit()]

    wait_for(ready)
    caller.send_signal(kill)
    _, errors = caller.communicate(timeout=40)
    assert caller.returncode == -kill
    assert errors.count("Traceback") == (1 if hang else 0)  # the workers say nothing
    assert pids()
    assert all(gone(pid) for pid in pids())


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"workers": -1}, "workers >= 0"),
        ({"queue": 0}, "queue >= 1"),
        ({"reduce": lambda q: q}, "define it in a module"),
        ({"reduce": partial(lambda _, q: q, 1)}, "define it in a module"),
    ],
)
def test_wrong_options_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        CRFPool(CRF, **options)


def test_functions_of_the_main_module_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker does not import the caller's main module."""
    monkeypatch.setattr(reducers.fail, "__module__", "__main__")
    monkeypatch.setattr(sys.modules["__main__"], "fail", reducers.fail, raising=False)
    with pytest.raises(ValueError, match="define it in a module"):
        CRFPool(CRF, workers=1, reduce=reducers.fail)
