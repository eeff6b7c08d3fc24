"""One run on several devices: its batch is the recipe's, split over processes and accumulation."""

from collections.abc import Mapping
from typing import Any

from reproduce.errors import UserError
from reproduce.evaluations import kind
from reproduce.experiments import merge

#: Strategies under which every process has the whole network, and the first one the results.
STRATEGIES = (
    "auto",
    "ddp",
    "ddp_find_unused_parameters_true",
    "ddp_find_unused_parameters_false",
)


def _count(trainer: Mapping[str, Any], option: str) -> int:
    """A whole number from 1 among the trainer's options; 1 if it is not given."""
    value = trainer.get(option, 1)
    if value == "auto" and option == "devices":  # each run is given one, which is then all
        return 1
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise UserError(
            f"--trainer.{option}={value}: expected a whole number from 1, by which the batch is "
            "divided; CUDA_VISIBLE_DEVICES chooses among the GPUs"
        )
    return value


def processes(config: Mapping[str, Any]) -> int:
    """Number of processes that a run trains in: devices times nodes, 1 for an evaluation.

    Raises:
        UserError: If they are no whole numbers.
    """
    if kind(config) != "training":
        return 1
    return _count(config["trainer"], "devices") * _count(config["trainer"], "num_nodes")


def per_process(config: dict[str, Any], data: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration as each process takes it, so that a step of all is one of the whole batch.

    The batch is divided by the processes and by ``accumulate_grad_batches``. Lightning counts
    parts of a batch where it validates and where an epoch ends, so both are set accordingly; the
    rest of an epoch that is no whole batch stays out, as on one device.

    Args:
        config: Configuration with the batch of the recipe.
        data: Manifest of its data.

    Raises:
        UserError: If the batch cannot be divided evenly, or the strategy is none of
            :data:`STRATEGIES`.
    """
    trainer, count = config["trainer"], processes(config)
    strategy = trainer.get("strategy", "auto")
    if kind(config) != "training":
        return config
    if strategy not in STRATEGIES:
        raise UserError(f"--trainer.strategy={strategy}: expected one of {', '.join(STRATEGIES)}")
    parts = _count(trainer, "accumulate_grad_batches")
    batch = config["data"]["init_args"]["batch_size"]
    if batch % (count * parts):
        among = f"{count} devices" if parts == 1 else f"{count} devices x {parts} parts"
        raise UserError(
            f"a batch of {batch} cannot be split over {among}: choose --trainer.devices (and "
            "--trainer.accumulate_grad_batches) whose product divides it"
        )
    changed: dict[str, Any] = {"data": {"init_args": {"batch_size": batch // (count * parts)}}}
    if parts > 1:
        images = data["splits"].get(config["data"]["init_args"]["train_split"], {}).get("images", 0)
        changed["trainer"] = {
            "val_check_interval": trainer["val_check_interval"] * parts,
            "limit_train_batches": images // batch * parts,
        }
    return merge(config, changed)


def check_processes(config: Mapping[str, Any], found: int) -> None:
    """Refuse to train in another number of processes than the batch was divided for.

    Raises:
        UserError: If they differ.
    """
    if (expected := processes(config)) != found:
        raise UserError(
            f"expected {expected} processes for --trainer.devices and --trainer.num_nodes, but "
            f"Lightning found {found}: leave variables such as WORLD_SIZE of other launchers away"
        )
