"""Training a detector from a start and searching scenes with it: what fine-tuning and the probe share."""

from __future__ import annotations

import multiprocessing
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from osm.data.scene import Scene
from osm.detection.arms import Init, imagenet_weights
from osm.detection.engines import Detector, Job, Progress, find_engine
from osm.detection.recipe import Recipe
from osm.detection.tiles import SceneStore, training_tiles
from osm.errors import DataError
from osm.files import atomic_path
from osm.transfer.certificate import Certificate

if TYPE_CHECKING:
    from mmengine.model import BaseModel

    from osm.detection.predictions import Predictions

CERTIFICATE = "certificate.json"
TRAINING = "training.json"
CONFIG = "config.py"
CHECKPOINTS = "checkpoints"


@dataclass(frozen=True, eq=False)
class Trained:
    """A detector at the end of its training, and what it found.

    Attributes:
        model: The detector, in evaluation mode.
        predictions: Detections of the test scenes.
        certificate: Proof of what the backbone started from.
        train_tiles: Tiles trained on.
    """

    model: Detector
    predictions: Predictions
    certificate: Certificate
    train_tiles: int


def train_and_search(
    recipe: Recipe,
    *,
    init: Init,
    train_scenes: Sequence[Scene],
    test_scenes: Sequence[Scene],
    store: SceneStore,
    work_dir: Path,
    seed: int,
    min_coverage: float,
    resume: bool = False,
    launcher: str = "none",
    tensorboard: bool = False,
    progress: Progress = lambda what, done, total: None,
) -> Trained:
    """Train a detector on some scenes and search others with it; scoring is left to the caller.

    Writes ``certificate.json``, ``training.json``, ``config.py``, the log and what is needed to resume.

    Args:
        recipe: The detector and its settings; which scenes, its ``data`` does not decide here.
        init: How the backbone starts.
        train_scenes: Scenes to train on, all of them.
        test_scenes: Scenes to search.
        store: Where their pixels come from.
        work_dir: Where to write.
        seed: As in ``finetune``, like all that follows.
        min_coverage: Least fraction of the backbone's tensors that the weights must fill.
        resume: Continue from the last checkpoint in ``work_dir``.
        launcher: ``none``, ``pytorch`` or ``slurm``.
        tensorboard: Whether to write TensorBoard events too.
        progress: Told what is under way.

    Raises:
        OSMError: Data, weights or settings that a user can mend.
    """
    from osm.compat.runner import open_log
    from osm.detection.inference import predict_scenes

    engine = find_engine(recipe.engine, recipe.path)
    weights = imagenet_weights(recipe.architecture) if str(init) == "imagenet" else init.path
    open_log(work_dir / "train.log")
    built, certificate = engine.build(recipe, seed=seed, weights=weights, min_coverage=min_coverage)
    certificate.write(work_dir / CERTIFICATE)

    tiles = training_tiles(train_scenes, recipe.data)
    if len(tiles) < recipe.train.batch_size:
        raise DataError(
            f"{len(train_scenes)} training scenes",
            found=f"{len(tiles)} training tiles",
            expected=f"at least train.batch_size = {recipe.train.batch_size}",
            mend="use more scenes or a smaller batch",
        )
    job = Job(recipe, tiles, store, work_dir, seed, launcher, tensorboard, resume, progress)
    model = engine.train(built, certificate, job)
    predictions = predict_scenes(
        model,
        test_scenes,
        store,
        recipe.data,
        recipe.test,
        lambda done, total: progress("search", done, total),
    )
    return Trained(model, predictions, certificate, len(tiles))


def _runner(
    recipe: Recipe,
    model: BaseModel,
    certificate: Certificate,
    tiles: list[Any],
    store: SceneStore,
    work_dir: Path,
    seed: int,
    launcher: str,
    tensorboard: bool,
    resume: bool,
    progress: Progress,
) -> Any:
    import torch
    from mmengine.config import Config
    from mmengine.dataset import pseudo_collate
    from torch.utils.data import DataLoader

    import osm.compat.amp  # noqa: F401  (registers the optimiser wrapper)
    from osm.compat.checkpoints import trust_mmengine_checkpoints
    from osm.compat.runner import QuietRunner
    from osm.detection.dataset import TileDataset, TurningSampler
    from osm.detection.engine import optim_wrapper, schedulers
    from osm.detection.hooks import CertificateHook, CurveHook

    trust_mmengine_checkpoints()
    with atomic_path(work_dir / CONFIG) as temporary:
        Config(recipe.settings()).dump(temporary)
    config = Config.fromfile(work_dir / CONFIG)
    settings = recipe.train
    dataset = TileDataset(tiles, store, recipe.data.tile_px)
    loader = DataLoader(
        dataset,
        batch_size=settings.batch_size,
        sampler=TurningSampler(dataset, seed, settings.augment),
        drop_last=True,
        collate_fn=pseudo_collate,
    )
    checkpoint: dict[str, Any] | None = None
    if settings.checkpoint_epochs:
        checkpoint = {
            "type": "CheckpointHook",
            "interval": settings.checkpoint_epochs,
            "max_keep_ckpts": 1,
            "out_dir": str(work_dir / CHECKPOINTS),
        }
    backends = [{"type": "LocalVisBackend"}] + ([{"type": "TensorboardVisBackend"}] if tensorboard else [])
    last = _last_checkpoint(work_dir / CHECKPOINTS) if resume else None
    # mmengine would otherwise force its own way to start processes on everything in this one, and say so
    processes = {"mp_start_method": multiprocessing.get_start_method()}
    return QuietRunner(
        model=model.to(memory_format=torch.channels_last),
        work_dir=str(work_dir),
        train_dataloader=loader,
        train_cfg={"by_epoch": True, "max_epochs": settings.epochs},
        optim_wrapper=optim_wrapper(settings),
        param_scheduler=schedulers(settings, len(loader)),
        default_hooks={"checkpoint": checkpoint, "logger": {"type": "LoggerHook", "interval": 10}},
        custom_hooks=[
            CertificateHook(certificate),
            CurveHook(work_dir / TRAINING, lambda done, total: progress("train", done, total)),
        ],
        visualizer={"type": "Visualizer", "vis_backends": backends},
        default_scope="mmdet",
        launcher=launcher,
        load_from=str(last) if last else None,
        resume=last is not None,
        randomness={"seed": seed},
        env_cfg={"dist_cfg": {"backend": "nccl"}, "mp_cfg": processes},
        cfg=config,
    )


def _last_checkpoint(folder: Path) -> Path | None:
    pointers = list(folder.rglob("last_checkpoint"))
    return Path(pointers[0].read_text().strip()) if pointers else None
