"""What is timed, in which order, and that the numbers are those of the clock."""

import json
import statistics
import time
from collections import Counter
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from reproduce.models import DeepLabLargeFOV, SegmentationModule
from reproduce.models.multiscale import resize
from reproduce.postprocess import CRFPool, DenseCRF, timing
from reproduce.postprocess.timing import (
    crf_labels,
    interleaved,
    measure_inference,
    measure_throughput,
    network_labels,
    network_probabilities,
)

CRF = DenseCRF(bi_xy_std=5, bi_rgb_std=30)
SIZES = [[16, 20], [20, 16], [16, 16]]


def network(seed: int) -> SegmentationModule:
    torch.manual_seed(seed)
    options: dict[str, Any] = {"num_classes": 3, "trunk": "thin", "classifier_std": 1.0}
    return DeepLabLargeFOV(dilation=1, hidden=8, **options).eval()


class Colours(SegmentationModule):
    """Its logits are colours at half the resolution, so that its labels vary."""

    def single_scale(self, images: Tensor) -> Tensor:
        return avg_pool2d(images, 2)


@pytest.fixture(scope="module")
def images() -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [
        torch.randint(0, 256, (3, *size), generator=generator, dtype=torch.uint8) for size in SIZES
    ]


@pytest.fixture(scope="module")
def found(images: list[Tensor]) -> dict[str, Any]:
    return measure_inference(network(0), network(1), images, CRF, workers=1, rounds=3)


class Clock:
    """Time passes only where a method says so."""

    def __init__(self) -> None:
        self.time = 0.0
        self.calls: list[tuple[str, int]] = []

    def method(self, name: str, seconds: float, warmup: int) -> Any:
        def run(index: int) -> None:
            warm = sum(call[0] == name for call in self.calls) < warmup
            self.calls.append((name, index))
            self.time += 1000 if warm else seconds + index

        return run

    def now(self) -> float:
        return self.time


def test_interleaved() -> None:
    clock = Clock()
    own = {"a": 0.25, "b": 2.0, "c": 8.0}
    methods = {name: clock.method(name, seconds, 2) for name, seconds in own.items()}
    seconds = interleaved(methods, 12, warmup=2, rounds=3, now=clock.now)
    for name, value in own.items():
        assert seconds[name] == [[value + index for index in range(12)]] * 3  # no 1000 in it
    assert sorted(clock.calls[:6]) == [(name, index) for name in own for index in (0, 1)]
    names, numbers = zip(*clock.calls[6:], strict=True)
    assert list(numbers) == [index for _ in range(3) for index in range(12) for _ in own]
    orders = [names[i : i + 3] for i in range(0, len(names), 3)]
    assert all(set(order) == set(own) for order in orders)
    assert len(set(orders)) == 6  # every order occurs, so none is always behind the same


def test_order_does_not_change_from_run_to_run() -> None:
    first, second = Clock(), Clock()
    for clock in (first, second):
        methods = {name: clock.method(name, 1, 0) for name in "abcd"}
        interleaved(methods, 5, warmup=0, rounds=2, now=clock.now)
    assert first.calls == second.calls


def test_more_warm_up_than_images() -> None:
    clock = Clock()
    interleaved({"a": clock.method("a", 1, 3)}, 2, warmup=3, rounds=1, now=clock.now)
    assert [index for _, index in clock.calls] == [0, 1, 0, 0, 1]


def test_structure(found: dict[str, Any]) -> None:
    assert set(found["methods"]) == {"level_set", "baseline", "crfs5", "crfs10"}
    assert (found["images"], found["sizes"], found["classes"]) == (3, SIZES, 3)
    assert (found["warmup"], found["rounds"], found["crf"]["bi_xy_std"]) == (2, 3, 5)
    assert found["hardware"]["network_threads"] == found["hardware"]["crf_threads"] == 1
    assert found["hardware"]["network"] == found["hardware"]["crf"]
    assert json.loads(json.dumps(found)) == found


def test_medians_and_quartiles_are_those_of_the_list(found: dict[str, Any]) -> None:
    for method in found["methods"].values():
        assert len(method["seconds"]) == 3
        assert min(method["seconds"]) > 0
        assert method["median"] == statistics.median(method["seconds"])
        quartiles = statistics.quantiles(method["seconds"], n=4, method="inclusive")
        assert method["quartiles"] == pytest.approx(quartiles[::2])


def test_an_image_counts_with_the_median_of_its_rounds() -> None:
    summary = timing._summary([[1.0, 7.0], [3.0, 5.0000004], [2.0, 6.0]])
    assert summary == {"seconds": [2.0, 6.0], "median": 4.0, "quartiles": [3.0, 5.0]}


def test_ratio_of_the_throughput(found: dict[str, Any]) -> None:
    pool = found["throughput"]
    assert (pool["workers"], pool["threads"], pool["iterations"]) == (1, 1, 10)
    rounds = zip(*(pool["seconds"][name] for name in ("both", "network", "crf")), strict=True)
    ratios = [both / max(network, crf) for both, network, crf in rounds]
    assert len(ratios) == 3
    assert pool["ratio"] == statistics.median(ratios)


def test_crf_labels_are_those_of_the_crf_itself(images: list[Tensor]) -> None:
    net, crf = Colours(3, "thin").eval(), DenseCRF(5, bi_xy_std=5, bi_rgb_std=30)
    for image in images:
        with torch.inference_mode():
            logits = net(net.normalise(image[None]))
            probabilities = resize(logits, image.shape[1:]).softmax(1)[0].numpy()
            labels = crf_labels(net, image, crf)
            plain = network_labels(net, image).numpy()
        expected = crf(image.permute(1, 2, 0).numpy(), probabilities).argmax(0)
        assert np.array_equal(labels, expected)
        assert np.array_equal(plain, probabilities.argmax(0))
        assert not np.array_equal(plain, expected)  # the CRF does something here


def test_probabilities_of_sliding_windows(images: list[Tensor]) -> None:
    net = Colours(3, "thin").eval()
    with torch.inference_mode():
        whole = network_probabilities(net, images[0])
        net.window = 9
        slid = network_probabilities(net, images[0])
        labels = network_labels(net, images[0])
    assert torch.equal(slid.argmax(0), labels)
    assert not torch.allclose(slid, whole)


def test_who_is_timed(images: list[Tensor], monkeypatch: pytest.MonkeyPatch) -> None:
    """Baseline with CRF of 5 and 10 iterations, both networks without; 2 + 3 images each."""
    baseline, level_set = network(0), network(1)
    nets = {id(baseline): "baseline", id(level_set): "level_set"}
    seen: Counter[str] = Counter()

    def labels(net: SegmentationModule, image: Tensor) -> None:
        assert image.shape[0] == 3
        seen[nets[id(net)]] += 1

    def refined(net: SegmentationModule, image: Tensor, crf: DenseCRF) -> None:
        assert (crf.bi_xy_std, crf.bi_rgb_std) == (5, 30)
        assert image.shape[0] == 3
        seen[f"{nets[id(net)]} {crf.iterations}"] += 1

    monkeypatch.setattr(timing, "network_labels", labels)
    monkeypatch.setattr(timing, "crf_labels", refined)
    measure_inference(baseline, level_set, images, CRF, workers=0, rounds=1)
    assert seen == dict.fromkeys(("baseline", "level_set", "baseline 5", "baseline 10"), 5)


def test_the_pool_gets_the_images_and_their_probabilities(
    images: list[Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    net, given = network(0), list[tuple[int, Tensor, Tensor]]()

    class Spy(CRFPool):
        def submit(self, key: Any, image: Any, probabilities: Any, *extra: object) -> None:
            given.append((key, image, probabilities))
            super().submit(key, image, probabilities)

    monkeypatch.setattr(timing, "CRFPool", Spy)
    before = torch.get_num_threads()
    measure_throughput(net, images, CRF, workers=0, threads=before + 1, rounds=2)
    assert torch.get_num_threads() == before
    assert [key for key, *_ in given] == [0, 1, 2] * 4  # two rounds of the CRF alone and beside
    for key, image, probabilities in given:
        assert torch.equal(image, images[key].permute(1, 2, 0))
        assert torch.equal(probabilities, network_probabilities(net, images[key]))


@pytest.mark.parametrize(("cores", "workers"), [(1, 1), (2, 1), (16, 15)])
def test_network_and_pool_share_the_cores(
    cores: int, workers: int, images: list[Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    def throughput(*_: object, **given: Any) -> dict[str, Any]:
        return given

    monkeypatch.setattr(timing, "measure_throughput", throughput)
    monkeypatch.setattr("os.cpu_count", lambda: cores)
    found = measure_inference(network(0), network(1), images, CRF, rounds=1)
    assert found["throughput"] == {"workers": workers, "threads": 1, "rounds": 1}


def test_the_device_is_synchronised_before_each_time_stamp(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    order: list[str] = []

    def stamp() -> float:
        order.append("stamp")
        return 1.0

    monkeypatch.setattr(torch.cuda, "synchronize", lambda device: order.append(str(device)))
    monkeypatch.setattr(time, "perf_counter", stamp)
    assert timing._clock(torch.device("cuda", 0))() == 1.0
    assert timing._clock(torch.device("cpu"))() == 1.0
    assert order == ["cuda:0", "stamp", "stamp"]


def test_refused(images: list[Tensor]) -> None:
    net = network(0)
    with pytest.raises(ValueError, match="expected images and iterations, got 0"):
        measure_inference(net, net, [], CRF)
    with pytest.raises(ValueError, match="expected images and iterations, got 3"):
        measure_inference(net, net, images, CRF, iterations=())
    with pytest.raises(ValueError, match=r"call network.eval\(\)"):
        measure_inference(net, network(1).train(), images, CRF)
