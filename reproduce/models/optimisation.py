"""Parameter groups and learning-rate policies of section 4.2 and of DeepLab's recipes."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from torch import nn
from torch.optim import SGD
from torch.optim.lr_scheduler import LambdaLR


@dataclass
class Recipe:
    """How a network is trained: SGD with momentum.

    Args:
        lr: Initial learning rate of the trunk's weights.
        momentum: Momentum.
        weight_decay: Weight decay.
        policy: ``poly``: ``(1 - iter / max_iter) ** power`` (section 4.2); ``step``: times
            ``gamma`` at each of ``milestones``; ``constant``.
        power: Exponent of ``poly``.
        milestones: Fractions of the schedule at which ``step`` steps.
        gamma: Factor of a step.
        head_lr_factor: Learning-rate factor of the head, 10 in DeepLab.
        bias_lr_factor: Further factor of every bias, 2 in DeepLab and FCN.
        decay_bias: Whether biases decay; they do not in DeepLab and FCN.
    """

    lr: float = 0.004
    momentum: float = 0.9
    weight_decay: float = 1e-4
    policy: Literal["poly", "step", "constant"] = "poly"
    power: float = 0.9
    milestones: tuple[float, ...] = (1 / 3, 2 / 3)
    gamma: float = 0.1
    head_lr_factor: float = 1.0
    bias_lr_factor: float = 1.0
    decay_bias: bool = True


def learning_rate_factor(recipe: Recipe, step: int, max_steps: int) -> float:
    """Learning rate at ``step`` of ``max_steps``, relative to the initial one."""
    if recipe.policy == "poly":
        return float(max(0.0, 1 - step / max_steps) ** recipe.power)
    if recipe.policy == "step":
        passed = sum(step >= fraction * max_steps for fraction in recipe.milestones)
        return float(recipe.gamma**passed)
    return 1.0


def _named_biases(module: nn.Module) -> Iterator[tuple[bool, nn.Parameter]]:
    """Trainable parameters of a module, each with whether it is the bias of a convolution."""
    norms = nn.modules.batchnorm._BatchNorm  # noqa: SLF001 - torch has no public base class
    for layer in module.modules():
        for name, parameter in layer.named_parameters(recurse=False):
            if parameter.requires_grad:
                yield name == "bias" and not isinstance(layer, norms), parameter


def parameter_groups(trunk: nn.Module, head: nn.Module, recipe: Recipe) -> list[dict[str, Any]]:
    """Up to four optimiser groups, named ``trunk.weight``, ``trunk.bias`` and likewise ``head``.

    The parameters of batch normalisation count as weights, and frozen ones are left out.
    """
    groups = []
    for part, module, factor in (("trunk", trunk, 1.0), ("head", head, recipe.head_lr_factor)):
        parameters = list(_named_biases(module))
        for is_bias, kind in ((False, "weight"), (True, "bias")):
            members = [p for bias, p in parameters if bias is is_bias]
            if members:
                groups.append(
                    {
                        "name": f"{part}.{kind}",
                        "params": members,
                        "lr": recipe.lr * factor * (recipe.bias_lr_factor if is_bias else 1),
                        "weight_decay": recipe.weight_decay
                        if recipe.decay_bias or not is_bias
                        else 0.0,
                    }
                )
    return groups


def build_optimiser(
    trunk: nn.Module, head: nn.Module, recipe: Recipe, max_steps: int
) -> tuple[SGD, LambdaLR]:
    """SGD over :func:`parameter_groups` and its schedule, to be advanced after every step."""
    optimiser = SGD(parameter_groups(trunk, head, recipe), lr=recipe.lr, momentum=recipe.momentum)
    return optimiser, LambdaLR(
        optimiser, lambda step: learning_rate_factor(recipe, step, max_steps)
    )
