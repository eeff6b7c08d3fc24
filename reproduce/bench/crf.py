"""``reproduce bench crf``: seconds of the dense CRF, and images per second of its pool."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch

from reproduce.bench.measure import race
from reproduce.bench.report import around_seconds, environment, save, setting
from reproduce.bench.statistics import quartiles
from reproduce.bench.targets import scene
from reproduce.postprocess import CRFPool, DenseCRF
from reproduce.tables.markdown import grid


class Case(NamedTuple):
    """An image and how it is refined."""

    height: int
    width: int
    classes: int
    iterations: int

    @property
    def name(self) -> str:
        """Key in results."""
        return f"{self.height}×{self.width}×{self.classes}, {self.iterations}"


#: One change at a time against a VOC image with 21 classes and 10 iterations.
CASES = (
    Case(375, 500, 21, 10),
    Case(375, 500, 21, 5),
    Case(375, 500, 21, 1),
    Case(188, 250, 21, 10),
    Case(512, 512, 21, 10),
    Case(512, 1024, 21, 10),
    Case(375, 500, 7, 10),
    Case(375, 500, 60, 10),
)
#: What the pool works on.
POOL = Case(375, 500, 21, 10)


def time_crfs(cases: Sequence[Case], rounds: int, budget: float) -> dict[str, list[float]]:
    """Seconds of each case and round, in turn."""

    def refine(case: Case) -> None:
        DenseCRF(case.iterations)(*scenes[case[:3]])

    scenes = {case[:3]: scene(case.classes, case.height, case.width) for case in cases}
    steps = {case.name: lambda _, case=case: refine(case) for case in cases}
    return race(steps, rounds=rounds, budget=budget).seconds


def time_pool(
    case: Case, workers: Sequence[int], images: int, rounds: int
) -> dict[str, list[float]]:
    """Seconds for some images with each number of workers, which run beforehand, by round."""
    pixels, maps = scene(case.classes, case.height, case.width)
    pools = {count: CRFPool(DenseCRF(case.iterations), count, 2 * count) for count in workers}

    def work(pool: CRFPool, count: int) -> None:
        for index in range(count):
            pool.submit(index, pixels, maps)
        for _ in pool.results():
            pass

    try:
        for count, pool in pools.items():  # every worker starts
            work(pool, 2 * count)
        steps = {str(n): lambda _, pool=pool: work(pool, images) for n, pool in pools.items()}
        return race(steps, rounds=rounds).seconds
    finally:
        for pool in pools.values():
            pool.close()


ABOUT = """\
Made-up images with noise; the time of the lattice depends on the colours. CRF with its default
widths, one thread each; medians (quartiles) over rounds."""


def bench_crf(
    *,
    rounds: int = 5,
    budget: float = 20.0,
    out: Path | None = None,
    cases: Sequence[Case] = CASES,
    pool: Case = POOL,
    workers: Sequence[int] = (1, 2),
) -> str:
    """Measure, and write ``bench_crf.md`` and ``.json`` if a folder is given.

    Args:
        rounds: Most rounds of each case.
        budget: Seconds that a case may take in all its rounds.
        out: Folder to write to.
        cases: Images and iterations; the first is what the others are compared with.
        pool: What the pool works on.
        workers: Numbers of its processes.

    Returns:
        Markdown.
    """
    alone = time_crfs(cases, rounds, budget)
    images = 4 * max(workers)
    pooled = time_pool(pool, workers, images, rounds)
    facts = environment(torch.device("cpu"))
    first = quartiles(alone[cases[0].name]).median
    lines = []
    for case in cases:
        spread = quartiles(alone[case.name])
        size, relative = f"{case.height}×{case.width}", f"×{spread.median / first:.2f}"
        numbers = [size, str(case.classes), str(case.iterations), around_seconds(spread), relative]
        lines.append([*numbers, str(len(alone[case.name]))])
    head = ["Image", "Classes", "Iterations", "Time", "relative", "Rounds"]
    text = ["# Dense CRF", "", ABOUT, "", setting(facts), "", *grid(head, lines, "xxxxxx")]
    rates = {count: quartiles([images / s for s in pooled[str(count)]]) for count in workers}
    base = rates[workers[0]].median
    lines = [[str(n), rate.text(".3g"), f"×{rate.median / base:.2f}"] for n, rate in rates.items()]
    title = f"## Pool: {images} images of {pool.name} iterations"
    text += ["", title, "", *grid(["Processes", "Images per second", "relative"], lines, "xxx")]
    results: dict[str, Any] = {
        "environment": facts,
        "cases": [{**case._asdict(), "seconds": alone[case.name]} for case in cases],
        "pool": {**pool._asdict(), "images": images, "seconds": pooled},
    }
    return save("crf", "\n".join(text), results, out)
