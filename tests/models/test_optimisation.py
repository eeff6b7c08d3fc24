"""Optimiser groups and learning-rate policies."""

import pytest
from torch import nn

from reproduce.experiments import EXPERIMENTS, read_yaml
from reproduce.models import DeepLabLargeFOV, DeepLabResNet101, Recipe
from reproduce.models.optimisation import (
    build_optimiser,
    learning_rate_factor,
    parameter_groups,
)

DEEPLAB = Recipe(lr=0.001, weight_decay=5e-4, head_lr_factor=10, bias_lr_factor=2, decay_bias=False)


def test_deeplab_groups() -> None:
    net = DeepLabLargeFOV(trunk="vgg16", hidden=8)
    groups = {g["name"]: g for g in parameter_groups(net.trunk, net.head, DEEPLAB)}
    rates = {name: g["lr"] / 0.001 for name, g in groups.items()}
    assert rates == pytest.approx(
        {"trunk.weight": 1, "trunk.bias": 2, "head.weight": 10, "head.bias": 20}
    )
    assert {name: g["weight_decay"] for name, g in groups.items()} == {
        "trunk.weight": 5e-4,
        "trunk.bias": 0,
        "head.weight": 5e-4,
        "head.bias": 0,
    }
    members = [p for g in groups.values() for p in g["params"]]
    assert {id(p) for p in members} == {id(p) for p in net.parameters()}
    assert len(groups["head.bias"]["params"]) == 3


def test_frozen_batch_norm_is_left_out() -> None:
    net = DeepLabResNet101(trunk="thin", rates=(1,))
    norms = [p for m in net.modules() if isinstance(m, nn.BatchNorm2d) for p in m.parameters()]
    listed = {id(p) for g in parameter_groups(net.trunk, net.head, DEEPLAB) for p in g["params"]}
    assert norms
    assert listed.isdisjoint(id(p) for p in norms)


def test_one_rate_for_all_by_default() -> None:
    net = DeepLabResNet101(trunk="thin", rates=(1,))
    assert {g["lr"] for g in parameter_groups(net.trunk, net.head, Recipe(lr=0.004))} == {0.004}


def test_policies() -> None:
    poly = [learning_rate_factor(Recipe(), step, 20000) for step in (0, 10000, 19999, 20000)]
    assert poly == pytest.approx([1, 0.5**0.9, (1 / 20000) ** 0.9, 0])
    step = Recipe(policy="step")
    assert [learning_rate_factor(step, s, 6000) for s in (0, 1999, 2000, 4000)] == pytest.approx(
        [1, 1, 0.1, 0.01]
    )
    assert learning_rate_factor(Recipe(policy="constant"), 5, 6) == 1


FCN_RATES = {"trunk.weight": 4e-3, "trunk.bias": 4e-3, "head.weight": 4e-3, "head.bias": 4e-3}
VGG_RATES = {"trunk.weight": 4e-3, "trunk.bias": 8e-3, "head.weight": 0.04, "head.bias": 0.08}
RESNET_RATES = {
    "trunk.weight": 2.5e-4,
    "trunk.bias": 5e-4,
    "head.weight": 2.5e-3,
    "head.bias": 5e-3,
}
#: Initial rates, decay of weights and of biases, iterations and the factor at some of them.
RECIPES = {
    "fcn": (FCN_RATES, 1e-4, 1e-4, 31740, {0: 1.0, 15870: 0.535886731, 31739: 8.88e-5}),
    "largefov": (
        VGG_RATES,
        1e-4,
        0.0,
        18000,
        {0: 1.0, 5999: 1.0, 6000: 0.1, 11999: 0.1, 12000: 0.01, 17999: 0.01},
    ),
    "resnet101": (RESNET_RATES, 5e-4, 0.0, 20000, {0: 1.0, 10000: 0.535886731, 19999: 1.346e-4}),
}
ARCHITECTURES = {
    "fcn32s_resnet101": "fcn",
    "fcn16s_resnet101": "fcn",
    "fcn8s_resnet101": "fcn",
    "deeplab_largefov": "largefov",
    "deeplab_msc_largefov": "largefov",
    "deeplab_resnet101": "resnet101",
    "deeplab_msc_resnet101": "resnet101",
}


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_recipes_of_the_paper(arch: str) -> None:
    """Groups of the YAML's optimiser and their rates at chosen iterations of its schedule."""
    config = read_yaml(EXPERIMENTS / "arch" / f"{arch}.yaml")
    recipe = Recipe(**config["model"]["init_args"]["recipe"])
    rates, decay, bias_decay, iterations, factors = RECIPES[ARCHITECTURES[arch]]
    assert config["trainer"]["max_steps"] == iterations
    parts = (nn.Conv2d(1, 1, 1), nn.Conv2d(1, 1, 1))
    optimiser, schedule = build_optimiser(*parts, recipe, iterations)
    assert {g["momentum"] for g in optimiser.param_groups} == {0.9}
    decays = {g["name"]: g["weight_decay"] for g in optimiser.param_groups}
    assert decays == {name: bias_decay if "bias" in name else decay for name in rates}
    seen = {}
    for step in range(iterations):
        if step in factors:
            seen[step] = {g["name"]: g["lr"] for g in optimiser.param_groups}
        optimiser.step()
        schedule.step()
    for step, factor in factors.items():
        expected = {name: rate * factor for name, rate in rates.items()}
        assert seen[step] == pytest.approx(expected, rel=1e-3)
