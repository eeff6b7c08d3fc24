"""Estimates from one measured step."""

from reproduce.experiments import read_table
from reproduce.runs.estimate import Estimate, measure
from reproduce.runs.plan import cell_config

TABLE = read_table("1")


def test_measures_a_step() -> None:
    row, column = next(TABLE.cells("fcn32s_resnet101/baseline"))
    config = cell_config(TABLE, row, column, "demo", 0, {})
    single = measure(config)
    assert single.step_seconds > 0
    config["data"]["init_args"]["crop"] = 512
    config["data"]["init_args"]["batch_size"] = 1
    one = measure(config)
    config["data"]["init_args"]["batch_size"] = 3
    three = measure(config)
    assert 2.5 < three.memory / one.memory < 3.1  # all but weights, gradients and momentum grows


def test_text() -> None:
    assert Estimate(2.0, 3 * 2**30, "a GPU").over(3600) == "about 2.0 h and 3.0 GiB on a GPU"
    assert Estimate(0.5, 5, "2 cores").over(60) == "about 0.5 min and less than 1 GiB on 2 cores"
