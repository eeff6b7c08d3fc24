"""Planning of runs: what cells need, and where weights are looked for."""

import os
from pathlib import Path

import pytest

from reproduce.experiments import read_table
from reproduce.runs.fingerprint import code_fingerprint
from reproduce.runs.job import Job
from reproduce.runs.plan import local_weights, plan, to_do, with_needs


@pytest.fixture(scope="module")
def jobs(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, int], Job]:
    """Jobs of LargeFOV's row of Table 1 by column and seed."""
    root = tmp_path_factory.mktemp("plan")
    found = plan(
        read_table("1"),
        scale="demo",
        seeds=2,
        runs=root / "runs",
        data=root / "data",
        only="deeplab_largefov",
    )
    return {(job.experiment.rsplit("/", 1)[1], job.seed): job for job in found}


def test_a_crf_needs_its_network_and_a_search_with_the_first_one(
    jobs: dict[tuple[str, int], Job],
) -> None:
    crf = jobs["crfs", 1]
    assert crf.kind == "evaluation"
    assert {role: need.id for role, need in crf.needs.items()} == {
        "checkpoint": jobs["baseline", 1].id,
        "search": jobs["crfs", 0].needs["search"].id,
    }
    search = crf.needs["search"]
    assert (search.kind, search.seed) == ("search", 0)
    assert search.needs["checkpoint"].id == jobs["baseline", 0].id
    assert not jobs["baseline", 0].needs


def test_needs_come_first_and_once(jobs: dict[tuple[str, int], Job]) -> None:
    ordered = with_needs(jobs.values())
    assert len({job.id for job in ordered}) == len(ordered) == 7
    places = {job.id: place for place, job in enumerate(ordered)}
    assert all(places[n.id] < places[job.id] for job in ordered for n in job.needs.values())
    assert {job.id for job in to_do(jobs.values())} == set(places)


def test_published_parameters_need_no_search(tmp_path: Path) -> None:
    found = plan(
        read_table("1", "paper"), scale="paper", seeds=1, runs=tmp_path, problems=[], only="*/crfs"
    )
    assert len(found) == 4
    assert all(set(job.needs) == {"checkpoint"} for job in found)
    assert {job.config["evaluation"]["crf"]["preset"] for job in found} == {
        "deeplab_largefov",
        "deeplab_msc_largefov",
        "deeplab_resnet101",
    }


@pytest.mark.parametrize(("scale", "steps"), [("demo", 1.0), ("lite", 0.25)])
def test_weights_are_tried_on_a_part_of_the_training_set(
    scale: str, steps: float, tmp_path: Path
) -> None:
    def table(*flags: str) -> Job:
        (job,) = plan(
            read_table("5", scale),
            scale=scale,
            seeds=2,
            runs=tmp_path,
            problems=[],
            only="focal/rival",
            overrides=flags,
        )[1:]
        return job

    job = table()
    assert job.seed == 1
    assert set(job.needs) == {"0.3", "1", "3"}
    for value, trial in job.needs.items():
        criterion = trial.config["model"]["init_args"]["criterion"]
        assert (trial.seed, criterion["init_args"]["weight"]) == (0, float(value))
        split = job.config["data"]["init_args"]["train_split"]
        assert trial.config["data"]["init_args"]["train_split"] == f"{split}.fit"
        assert trial.config["data"]["init_args"]["val_split"] == f"{split}.held"
        assert trial.steps == steps * job.steps
        assert trial.steps % trial.config["trainer"]["val_check_interval"] == 0
        assert "choose" not in trial.config
    flags = ("--trainer.max_steps=3", "--trainer.val_check_interval=3")
    assert {trial.steps for trial in table(*flags).needs.values()} == {3}


def test_evaluations_are_runs_of_their_own(jobs: dict[tuple[str, int], Job]) -> None:
    trained, crf = jobs["baseline", 0], jobs["crfs", 0]
    assert trained.id != crf.id
    assert code_fingerprint(trained.config) != code_fingerprint(crf.config)


@pytest.mark.parametrize("place", ["data/weights", "weights"])
def test_weights_in_or_beside_the_data(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REPRODUCE_WEIGHTS", "")  # so that it is restored afterwards
    monkeypatch.delenv("REPRODUCE_WEIGHTS")
    data = tmp_path / "data"
    data.mkdir()
    local_weights(data)
    assert "REPRODUCE_WEIGHTS" not in os.environ
    (tmp_path / place).mkdir()
    local_weights(data)
    assert Path(os.environ["REPRODUCE_WEIGHTS"]) == tmp_path / place
    local_weights(tmp_path / "elsewhere")
    assert Path(os.environ["REPRODUCE_WEIGHTS"]) == tmp_path / place
