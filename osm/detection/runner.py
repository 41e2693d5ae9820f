"""mmengine's Runner for one training of a detector."""

from __future__ import annotations

import multiprocessing
from typing import TYPE_CHECKING, Any

from osm.detection.engines import Job
from osm.detection.train import CERTIFICATE, CHECKPOINTS, CONFIG, TRAINING
from osm.files import atomic_path
from osm.transfer.certificate import Certificate

if TYPE_CHECKING:
    from mmengine.model import BaseModel


def build_runner(model: BaseModel, certificate: Certificate, job: Job) -> Any:
    """A Runner that is ready to train, from the newest whole checkpoint if the job resumes.

    Args:
        model: The detector before its training.
        certificate: Of its backbone; confirmed and written at the first step.
        job: The training.

    Raises:
        WeightsError: No checkpoint of an interrupted run is whole, or they are of another detector.
    """
    import torch
    from mmengine.config import Config
    from mmengine.dataset import pseudo_collate
    from torch.utils.data import DataLoader

    import osm.compat.amp  # noqa: F401  (registers the optimiser wrapper)
    from osm.compat.checkpoints import WHOLE_FILES, trust_mmengine_checkpoints
    from osm.compat.resume import epoch_checkpoints, newest_checkpoint
    from osm.compat.runner import QuietRunner
    from osm.detection.dataset import TileDataset, TurningSampler
    from osm.detection.engine import optim_wrapper, schedulers
    from osm.detection.hooks import CurveHook, StepSeedHook, ValidationHook, WitnessHook
    from osm.transfer.step0 import CertificateHook

    recipe, work_dir, progress = job.recipe, job.work_dir, job.progress
    trust_mmengine_checkpoints()
    with atomic_path(work_dir / CONFIG) as temporary:
        Config(recipe.settings()).dump(temporary)
    config = Config.fromfile(work_dir / CONFIG)
    settings = recipe.train
    dataset = TileDataset(list(job.tiles), job.store, recipe.data.tile_px, job.witness.draws)
    loader = DataLoader(
        dataset,
        batch_size=settings.batch_size,
        sampler=TurningSampler(dataset, job.seed, settings.augment),
        drop_last=True,
        collate_fn=pseudo_collate,
    )
    checkpoint: dict[str, Any] | None = None
    if settings.checkpoint_epochs:
        checkpoint = {
            "type": "CheckpointHook",
            "interval": settings.checkpoint_epochs,
            # the older is removed before the newest is written: the one between them is there all the time
            "max_keep_ckpts": 2,
            "out_dir": str(work_dir / CHECKPOINTS),
            "backend_args": {"backend": WHOLE_FILES},
        }
    backends = [{"type": "LocalVisBackend"}] + ([{"type": "TensorboardVisBackend"}] if job.tensorboard else [])
    # mmengine names a folder in it after the work folder, which may have been moved since
    kept = epoch_checkpoints(work_dir / CHECKPOINTS, "*/epoch_*.pth")
    last = newest_checkpoint(kept, model) if job.resume else None
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
            StepSeedHook(job.seed),
            CertificateHook(certificate, work_dir / CERTIFICATE),
            WitnessHook(job.witness),
            CurveHook(work_dir / TRAINING, lambda done, total: progress("train", done, total)),
            *([ValidationHook(job.validate)] if job.validate else []),
        ],
        visualizer={"type": "Visualizer", "vis_backends": backends},
        default_scope="mmdet",
        load_from=str(last) if last else None,
        resume=last is not None,
        randomness={"seed": job.seed},
        env_cfg={"mp_cfg": processes},
        cfg=config,
    )
