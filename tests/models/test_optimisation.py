"""Optimiser groups and learning-rate policies."""

import pytest
from torch import nn

from reproduce.models import DeepLabLargeFOV, DeepLabResNet101, Recipe
from reproduce.models.optimisation import learning_rate_factor, parameter_groups

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
