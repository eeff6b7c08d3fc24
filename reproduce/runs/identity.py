"""What makes two runs the same run."""

import copy
import hashlib
import json
from collections.abc import Mapping
from typing import Any

#: Options that do not change a result, by section: paths, workers, devices, display.
NEUTRAL = {
    "data": {"root", "num_workers", "cache", "val_batch_size"},
    "trainer": {
        "accelerator",
        "default_root_dir",
        "devices",
        "enable_checkpointing",
        "enable_model_summary",
        "enable_progress_bar",
        "log_every_n_steps",
        "logger",
        "num_nodes",
        "strategy",
    },
}


def identity_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration without its neutral options."""
    out = copy.deepcopy(dict(config))
    for key in NEUTRAL["trainer"]:
        out.get("trainer", {}).pop(key, None)
    for key in NEUTRAL["data"]:
        out.get("data", {}).get("init_args", {}).pop(key, None)
    return out


def config_hash(config: Mapping[str, Any]) -> str:
    """SHA-256 of the options that change a result, the seed included."""
    text = json.dumps(identity_config(config), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def run_id(config: Mapping[str, Any], data_digest: str) -> str:
    """Identity of a run: 12 hexadecimal digits from its configuration and its data's manifest."""
    return hashlib.sha256(f"{config_hash(config)} {data_digest}".encode()).hexdigest()[:12]
