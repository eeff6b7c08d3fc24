"""``reproduce export``: a trained network as one safetensors file, with a model card."""

import json
from collections.abc import Sequence
from pathlib import Path

from reproduce import __version__
from reproduce.errors import UserError
from reproduce.evaluations import training_config
from reproduce.files import write_atomically
from reproduce.model_card import model_card
from reproduce.runs.record import read_record
from reproduce.segment.network import trained_network
from reproduce.segment.source import crf_options, read_source


def export_network(run: Path, out: Path, allow: Sequence[str] = ()) -> str:
    """Write the weights of a completed run, with what is needed to use them, and its card.

    The metadata of the file are texts: ``config``, ``classes``, ``scores``, ``crf`` and ``data`` as
    JSON, ``run``, ``experiment``, ``scale``, ``seed``, ``code`` and ``version`` as they are. No
    path of the machine is among them.

    Args:
        run: As for :func:`reproduce.segment.load_network`.
        out: ``FILE.safetensors``; the card is ``FILE.md``.
        allow: As for :func:`reproduce.segment.load_network`.

    Returns:
        A line that names both.

    Raises:
        UserError: If the run is not completed, or ``out`` ends otherwise.
    """
    from safetensors.torch import save_file

    if out.suffix != ".safetensors":
        raise UserError(f"expected --out FILE.safetensors, got {out}")
    source = read_source(run)
    path = source.path.with_name("record.json")
    if source.path.suffix == ".safetensors" or not path.is_file():
        raise UserError(
            f"no record.json beside {source.path}: expected a completed run (reproduce runs list)"
        )
    record = read_record(path)
    if record["state"] != "completed":
        raise UserError(f"run {record['id']} has {record['state']}: expected a completed run")
    network = trained_network(source, allow)  # nothing is exported that cannot be loaded
    plain = {key: record[key] for key in ("experiment", "scale", "code")}
    facts = {
        "format": "pt",
        "version": __version__,
        "run": record["id"],
        "seed": str(record["seed"]),
        "config": json.dumps(training_config(record["config"]), sort_keys=True),
        "classes": json.dumps(network.class_names),
        "scores": json.dumps(record["scores"], sort_keys=True),
        "crf": crf_options(source.crf),
        "data": json.dumps(record["data"], sort_keys=True),
        **plain,
    }
    out.parent.mkdir(parents=True, exist_ok=True)
    work = out.with_name(f".{out.name}.part")
    try:
        save_file({k: v.contiguous() for k, v in source.state.items()}, work, facts)
        work.replace(out)
    finally:
        work.unlink(missing_ok=True)
    card = out.with_suffix(".md")
    parameters = sum(p.numel() for p in network.parameters())
    write_atomically(card, model_card(record, network.class_names, parameters, out.name))
    return f"wrote {out} and {card}"
