"""Runs that train nothing: scores after the CRF, the search of its parameters, timing, overhead."""

import copy
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import Logger
from numpy.typing import NDArray

from reproduce.callbacks import LevelSetCallback
from reproduce.errors import UserError
from reproduce.evaluations import training_config
from reproduce.experiments import merge
from reproduce.lightning_cli import build_cli
from reproduce.metrics.by_image import CountsByImage, ImageCounts
from reproduce.metrics.encoding import encode_counts
from reproduce.models import SegmentationModule
from reproduce.postprocess import CRFPool, DenseCRF, Grid, Trial, search
from reproduce.postprocess.scoring import confuse_marginals, score_labels, score_marginals
from reproduce.runs.checkpoints import read_checkpoint
from reproduce.runs.failure import explain
from reproduce.runs.fingerprint import code_fingerprint
from reproduce.runs.loggers import csv_logger
from reproduce.runs.machine import hardware, peak_memory
from reproduce.runs.mirror import Mirror
from reproduce.runs.progress import write_progress
from reproduce.runs.record import read_record
from reproduce.runs.summary import check_counts, summary_of

if TYPE_CHECKING:
    from reproduce.data.datamodule import SegmentationDataModule

#: Training batches that steps are timed on, and the weights of a network that none trained.
BATCHES = 4
RANDOM = {"initial": "random", "file": None}

Scored = tuple[NDArray[np.int64], ImageCounts]


class _Place:
    """The run's folder and what is in it: trained network, data, loggers."""

    def __init__(
        self, folder: Path, job: dict[str, Any], config: dict[str, Any], mirror: Mirror
    ) -> None:
        self.folder = folder
        self.job = job
        self.evaluation = config["evaluation"]
        self.needs = {role: folder.parent / name for role, name in job["needs"].items()}
        self.records = {r: read_record(f / "record.json") for r, f in self.needs.items()}
        alone = {"trainer": {"devices": 1, "num_nodes": 1, "strategy": "auto"}}
        cli = build_cli(
            merge(training_config(config), alone),
            {"logger": False, "enable_progress_bar": False, "enable_model_summary": False},
        )
        self.device: torch.device = cli.trainer.strategy.root_device
        self.data: SegmentationDataModule = cli.datamodule
        self.data.setup("validate")
        self.callbacks: list[Callback] = cli.trainer.callbacks  # type: ignore[attr-defined]
        model: SegmentationModule = cli.model
        self.network = self.trained("checkpoint", model) if self.needs else model.to(self.device)
        self.loggers: list[Logger] = [csv_logger(folder), *mirror.loggers]
        self._told = 0.0

    def trained(self, role: str, network: SegmentationModule) -> SegmentationModule:
        """A copy of a network with the weights of a run that is needed."""
        path = self.needs[role] / "last.ckpt"
        if not path.is_file():
            raise UserError(
                f"{path} is gone: remove {path.parent} and give the command again to train it anew"
            )
        try:
            state = read_checkpoint(path)["state_dict"]
        except Exception as error:  # noqa: BLE001 - of many kinds for a damaged file
            raise UserError(
                f"{path} is damaged ({explain(error)}): remove {path.parent} and give the command "
                "again to train it anew"
            ) from None
        network = copy.deepcopy(network)
        network.load_state_dict(state)
        return network.to(self.device).eval()

    def tell(self, done: int) -> None:
        """Let the driver know how far the run is."""
        if time.monotonic() - self._told > 1:
            self._told = time.monotonic()
            write_progress(self.folder, done)

    def log(self, values: dict[str, float], step: int) -> None:
        for logger in self.loggers:
            logger.log_metrics(values, step)

    def crf(self) -> DenseCRF:
        """The CRF that was published for the network, or found by the search that is needed."""
        options = self.evaluation["crf"]
        if "preset" in options:
            return DenseCRF.preset(options["preset"], options["iterations"])
        found = self.records["search"]["search"]["best"]["crf"]
        return replace(DenseCRF(**found), iterations=options["iterations"])

    def code(self) -> str:
        """Fingerprint of the record; it says so if a network was trained by older code."""
        for record in self.records.values():
            if record["code"] != code_fingerprint(record["config"]):
                return f"run {record['id']} is stale"
        return str(self.job["code"])


def _score(place: _Place) -> dict[str, Any]:
    """Pixels, contours and objects of the validation set, with or without CRF."""
    network, loader = place.network, place.data.val_dataloader()
    classes = place.data.num_classes
    scored: dict[str, Scored] = {}

    def take(results: Iterable[tuple[str, Scored]]) -> None:
        scored.update(results)
        place.tell(len(scored))

    crf = place.crf() if place.evaluation["crf"] else None
    if crf is None:
        for batch in loader:
            labels = network.segment(batch["image"].to(place.device), batch["mask"].shape[-2:])
            pairs = zip(labels.cpu().numpy(), batch["mask"].numpy(), strict=True)
            counts = [score_labels(found, truth, classes) for found, truth in pairs]
            take(zip(batch["id"], counts, strict=True))
    else:
        reduce = partial(score_marginals, num_classes=classes)
        workers = place.job["workers"]
        with CRFPool(crf, workers, queue=2 * workers, reduce=reduce) as pool:
            for batch in loader:
                maps = network.full_logits(batch["image"].to(place.device)).softmax(1)
                pixels = batch["image"].permute(0, 2, 3, 1).contiguous()
                for item in zip(batch["id"], pixels, maps, batch["mask"].byte(), strict=True):
                    pool.submit(*item)
                take(pool.results(wait=False))
            take(pool.results())
    ordered = {name: scored[name] for name in (s.name for s in place.data.val_set.samples)}
    matrices = {name: matrix for name, (matrix, _) in ordered.items()}
    summary = summary_of(matrices, place.records["checkpoint"]["timing"]["steps"])
    pixels = sum(int(matrix.sum()) for matrix in matrices.values())
    check_counts(len(matrices), pixels, place.job["data"]["splits"][place.job["val_split"]])
    place.log({"val/miou": summary["scores"]["last"]["miou"]}, 0)
    details = CountsByImage(classes)
    for _, image in ordered.values():
        details.add_counts(image)
    return {
        **summary,
        "details": encode_counts(details.arrays()),
        "crf": None if crf is None else asdict(crf),
    }


def _search(place: _Place) -> dict[str, Any]:
    """The best parameters of the CRF on training images, spread over the list of them."""
    options = place.evaluation["search"]
    dataset = place.data.plain_set(place.data.train_split)
    count = min(options["images"], len(dataset))
    chosen = [dataset[i * len(dataset) // count] for i in range(count)]
    classes, workers = place.data.num_classes, place.job["workers"]
    grid = Grid(*(tuple(options[axis]) for axis in ("bi_w", "bi_xy_std", "bi_rgb_std")))
    base = DenseCRF(options["iterations"], pos_xy_std=3)
    reduce = partial(confuse_marginals, num_classes=classes)
    with (
        tempfile.TemporaryDirectory(dir=place.folder) as maps,
        CRFPool(base, workers, queue=2 * workers, reduce=reduce) as pool,
    ):
        for item in chosen:
            image = item["image"].unsqueeze(0).to(place.device)
            probabilities = place.network.full_logits(image).softmax(1)[0].half().cpu().numpy()
            np.save(Path(maps) / f"{item['id'].replace('/', '_')}.npy", probabilities)
        done = 0

        def evaluate(crf: DenseCRF) -> float:
            nonlocal done
            pool.crf = crf
            matrices: dict[str, NDArray[np.int64]] = {}
            for item in chosen:
                path = Path(maps) / f"{item['id'].replace('/', '_')}.npy"
                pixels = item["image"].permute(1, 2, 0).contiguous()
                pool.submit(item["id"], pixels, np.load(path), item["mask"].byte())
                matrices.update(pool.results(wait=False))
                done += 1
                place.tell(done)
            matrices.update(pool.results())
            score: float = summary_of(matrices, 0)["scores"]["last"]["miou"]
            place.log(
                {"search/miou": score, **{f"search/{k}": v for k, v in asdict(crf).items()}},
                done // count,
            )
            return score

        found = search(evaluate, grid, base)

    def plain(trial: Trial) -> dict[str, Any]:
        return {"crf": asdict(trial.crf), "miou": trial.score}

    best = {"step": 0, "miou": found.best.score}
    return {
        "scores": {"last": best, "best": best},
        "search": {
            "images": [item["id"] for item in chosen],
            "best": plain(found.best),
            "trials": [plain(trial) for trial in found.trials],
        },
    }


def _time(place: _Place) -> dict[str, Any]:
    """Seconds per image of the network with the other loss, and of this one with the CRF."""
    from reproduce.postprocess.timing import measure_inference

    options = place.evaluation["timing"]
    samples = place.data.val_set
    count = min(options["images"], len(samples))
    images = [samples[i * len(samples) // count]["image"] for i in range(count)]
    other = place.trained("other", place.network)
    return {
        "inference": measure_inference(
            place.network,
            other,
            [image.to(place.device) for image in images],
            place.crf(),
        )
    }


def _overhead(place: _Place) -> dict[str, Any]:
    """A training step of a network with random weights, with and without the level set loss."""
    from reproduce.bench.overhead import measure_overhead

    place.data.num_workers = 0  # nothing else may run meanwhile
    batches = list(islice(place.data.train_dataloader(), BATCHES))
    (loss,) = (c.loss for c in place.callbacks if isinstance(c, LevelSetCallback))
    options = place.evaluation["overhead"]
    found = measure_overhead(
        place.network,
        loss,
        batches,
        rounds=options["rounds"],
        budget=options["seconds"],
        tell=place.tell,
    )
    return {"overhead": found}


#: What is done by kind of run; an overhead is a timing that trains.
WORK: dict[str, Callable[[_Place], dict[str, Any]]] = {
    "evaluation": _score,
    "search": _search,
    "timing": _time,
    "overhead": _overhead,
}


def evaluate(
    folder: Path, job: dict[str, Any], config: dict[str, Any], mirror: Mirror
) -> dict[str, Any]:
    """Do what the section ``evaluation`` of a configuration asks for.

    Args:
        folder: The run's folder; the runs it needs lie beside it.
        job: Content of ``job.json``.
        config: Content of ``config.yaml``.
        mirror: The run's copy in Weights & Biases.

    Returns:
        The record's part that comes from running.

    Raises:
        UserError: If the checkpoint of a run it needs is gone.
        RuntimeError: If other pixels were counted than the data's manifest has.
    """
    start = time.perf_counter()
    trains = "overhead" in config["evaluation"]
    with torch.inference_mode(mode=not trains):
        place = _Place(folder, job, config, mirror)
        result = WORK["overhead" if trains else job["kind"]](place)
    return {
        "state": "completed",
        "code": place.code(),
        "needs": job["needs"],
        "weights": place.records["checkpoint"]["weights"] if place.needs else RANDOM,
        **result,
        "timing": {
            "wall_seconds": round(time.perf_counter() - start, 1),
            "peak_memory_bytes": peak_memory(place.device),
        },
        "hardware": hardware(place.device),
        "wandb": mirror.reference(),
    }
