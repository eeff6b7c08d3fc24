"""``reproduce bench step``: a training step of the paper's networks, with and without the loss."""

import logging
from pathlib import Path
from typing import Any

import torch

from reproduce.bench.overhead import CROSS_ENTROPY, LEVEL_SET, Batch, measure_overhead
from reproduce.bench.report import around_seconds, bytes_text, environment, save, setting
from reproduce.bench.statistics import quartiles
from reproduce.bench.targets import voc_like_target
from reproduce.callbacks import LevelSetCallback
from reproduce.experiments import compose, merge, read_table
from reproduce.lightning_cli import build_cli
from reproduce.tables.markdown import grid
from reproduce.tables.overhead import by_round, paper_percent, percent, share_of_step

ARCHITECTURES = ("deeplab_largefov", "deeplab_resnet101")


def made_up_batch(images: int, side: int, classes: int) -> Batch:
    """Random pixels with VOC-like labels."""
    generator = torch.Generator().manual_seed(0)
    shape = (images, 3, side, side)
    return {
        "image": torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator),
        "mask": voc_like_target(images, classes, side, side),
        "id": [str(number) for number in range(images)],
    }


def measure_network(
    arch: str, *, scale: str, images: int | None, rounds: int, device: torch.device
) -> dict[str, Any]:
    """Overhead in one of the paper's networks.

    Args:
        arch: Fragment under ``experiments/arch``.
        scale: Scale, whose crop and classes are taken.
        images: Batch; ``None``: the scale's.
        rounds: Rounds.
        device: Where.
    """
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
    nothing = {"model": {"init_args": {"weights": None}}, "data": {"init_args": {"root": "."}}}
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    config = merge(compose(arch, "voc", "level_set", scale), nothing)
    cli = build_cli({"seed_everything": 0, **config}, quiet)
    options = config["data"]["init_args"]
    module = cli.model.to(device)
    batch = made_up_batch(images or options["batch_size"], options["crop"], module.num_classes)
    found = (c for c in cli.trainer.callbacks if isinstance(c, LevelSetCallback))  # type: ignore[attr-defined]
    return measure_overhead(module, next(found).loss, [batch], rounds=rounds)


HEAD = ["Network", "Batch", "CE", "CE + LS", "Overhead"]
HEAD += ["Losses alone", "LS adds", "Memory, CE", "CE + LS"]

ABOUT = """\
Forward, loss, backward and SGD in float32, random weights, random pixels with VOC-like labels; both
losses in one process on the same network and batch, in an order drawn anew each round. Times of a
step: median (quartiles). Overhead: median of the rounds' ratios (95 % interval, by order
statistics). *Losses alone*: time of CE + LS over CE on the same logits, median (quartiles). *LS
adds*: their difference as part of a step, median (95 % interval): the rest of a step is the same
work with either loss, so its noise, in *Overhead*, is left out. Memory: the most that a step's
tensors hold at once; in brackets that of the process, `malloc` included."""


def _line(arch: str, result: dict[str, Any]) -> list[str]:
    base, ours = (result["step"][name] for name in (CROSS_ENTROPY, LEVEL_SET))
    memory = [
        f"{bytes_text(x['peak_bytes'])} ({bytes_text(x['peak_resident'])})" for x in (base, ours)
    ]
    return [
        arch,
        f"{result['images']}×{'×'.join(map(str, result['crop']))}",
        *(around_seconds(quartiles(x["seconds"])) for x in (base, ours)),
        percent(result, "step").text("+.2f") + " %",
        "×" + quartiles([ours / base for base, ours in by_round(result, "loss")]).text(),
        share_of_step(result).text("+.4f") + " %",
        *memory,
    ]


def bench_step(
    *, rounds: int = 15, device: torch.device, out: Path | None = None, scale: str = "paper"
) -> str:
    """Measure both networks, and write ``bench_step.md`` and ``.json`` if a folder is given.

    On a CPU the batch is one image, elsewhere the scale's.

    Returns:
        Markdown.
    """
    images = 1 if device.type == "cpu" else None
    results = {
        arch: measure_network(arch, scale=scale, images=images, rounds=rounds, device=device)
        for arch in ARCHITECTURES
    }
    facts = environment(device)
    text = ["# Training step", "", ABOUT, "", f"{setting(facts)} Rounds: {rounds}.", ""]
    text += grid(HEAD, [_line(arch, result) for arch, result in results.items()], "-xxxxxxxx")
    for row in read_table("overhead").rows:
        if (paper := paper_percent(row)) is not None:
            base, ours = (f"{row.paper_seconds[key]} s" for key in ("baseline", "level_set"))
            line = f"The paper [4.3], {row.label} on a GTX 1080Ti: {base} and {ours} an image,"
            text += ["", f"{line} {paper:+.0f} %."]
    return save("step", "\n".join(text), {"environment": facts, "networks": results}, out)
