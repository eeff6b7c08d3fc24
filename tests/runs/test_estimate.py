"""Estimates from one measured step."""

from reproduce.evaluations import cost_key
from reproduce.experiments import read_table, with_option
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


def test_measures_a_training_whose_weight_will_be_chosen() -> None:
    table = read_table("5")
    row, column = next(table.cells("focal/rival"))
    assert measure(cell_config(table, row, column, "demo", 0, {})).memory > 0


def test_weights_of_a_loss_cost_the_same() -> None:
    table = read_table("5")
    row, column = next(table.cells("focal/rival"))
    config = cell_config(table, row, column, "demo", 0, {})
    heavier = with_option(config, "model.init_args.criterion.init_args.weight", 3.0)
    assert cost_key(heavier) == cost_key(config)
    row, column = next(table.cells("dice/rival"))
    assert cost_key(cell_config(table, row, column, "demo", 0, {})) != cost_key(config)


def test_text() -> None:
    assert Estimate(2.0, 3 * 2**30, "a GPU").over(3600) == "about 2.0 h and 3.0 GiB on a GPU"
    assert Estimate(0.5, 5, "2 cores").over(60) == "about 0.5 min and less than 1 GiB on 2 cores"
