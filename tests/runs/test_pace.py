"""Time left, from the pace of the runs that were seen."""

from dataclasses import replace
from pathlib import Path

import pytest

from reproduce.experiments import read_table
from reproduce.runs.job import Job
from reproduce.runs.pace import Seen, seconds_left
from reproduce.runs.plan import plan
from tests.conftest import make_voc


@pytest.fixture
def jobs(tmp_path: Path) -> dict[str, Job]:
    """A cheap and a dear network, and an evaluation."""
    data = make_voc(tmp_path / "shapes", train=8, val=4, classes=7)
    found = plan(
        read_table("details"),
        scale="demo",
        seeds=1,
        runs=tmp_path / "runs",
        data=data,
        only="fcn32s*/baseline,deeplab_largefov/baseline",
    )
    cheap, dear = (job.needs["checkpoint"] for job in found)
    return {"cheap": cheap, "dear": dear, "evaluation": found[0]}


def test_nothing_is_known_before_the_first_step(jobs: dict[str, Job]) -> None:
    assert seconds_left([], [Seen(jobs["cheap"], 0, 9.0, 1400)], [jobs["dear"]], 1) is None


def test_runs_of_the_same_cost_decide(jobs: dict[str, Job]) -> None:
    cheap, dear = jobs["cheap"], jobs["dear"]
    assert (cheap.steps, dear.steps) == (1400, 480)
    seen = [Seen(cheap, 1400, 140.0), Seen(dear, 480, 480.0)]
    assert seconds_left(seen, [], [cheap], 1) == pytest.approx(140)
    assert seconds_left(seen, [], [dear], 1) == pytest.approx(480)
    assert seconds_left(seen, [], [dear] * 4, 2) == pytest.approx(960)
    half = Seen(dear, 240, 240.0, 240)
    assert seconds_left(seen, [half], [], 1) == pytest.approx(240)


def test_others_are_taken_as_the_mean(jobs: dict[str, Job]) -> None:
    """Of their kind, else of all."""
    cheap, dear, evaluation = jobs["cheap"], jobs["dear"], jobs["evaluation"]
    assert seconds_left([Seen(cheap, 100, 50.0)], [], [dear], 1) == pytest.approx(240)
    seen = [Seen(cheap, 100, 50.0), Seen(evaluation, 4, 8.0)]
    assert seconds_left(seen, [], [dear], 1) == pytest.approx(240)
    assert evaluation.steps == 4
    assert seconds_left(seen[:1], [], [evaluation], 1) == pytest.approx(2)


def test_the_longest_run_bounds_the_rest(jobs: dict[str, Job]) -> None:
    cheap = jobs["cheap"]
    seen = [Seen(cheap, 1400, 140.0)]
    short = replace(cheap, config={**cheap.config, "trainer": {"max_steps": 14}})
    assert seconds_left(seen, [], [cheap, short], 8) == pytest.approx(140)


def test_a_run_that_went_on_counts_what_was_done_here(jobs: dict[str, Job]) -> None:
    """700 of its 1,400 steps were made by an earlier call."""
    went_on = Seen(jobs["cheap"], 300, 30.0, 400)
    assert seconds_left([], [went_on], [], 1) == pytest.approx(40)
