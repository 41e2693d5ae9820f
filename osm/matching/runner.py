"""Settings, expanded to what mmengine's Runner is built from; its log, made readable."""

from __future__ import annotations

import inspect
import logging
from dataclasses import asdict
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.optim import OPTIMIZERS

from osm.compat import amp  # noqa: F401  (registers the optimiser wrapper)
from osm.compat.checkpoints import WHOLE_FILES
from osm.compat.runner import QuietRunner, open_log
from osm.matching import hooks  # noqa: F401  (registers the hooks)
from osm.matching import resident as _resident  # noqa: F401  (registers the data set)
from osm.matching.network import BridgeNetwork
from osm.matching.settings import AugmentSettings, Settings, TrainSettings
from osm.transfer.architectures import architecture

#: How lines begin that belong in the log file, not before a person's eyes.
_NOISE = (
    "\n-----",
    "Config:",
    "Hooks will be executed",
    "Exp name:",
    "Distributed training is not used",
    '"FileClient" will',
    '"HardDiskBackend" is',
)
_LAST_TWO = 2  # the older is removed before the newest is written: the one between them is there all the time


def runner_config(
    settings: Settings,
    *,
    data_root: Path,
    work_dir: Path,
    steps_per_epoch: int,
    tensorboard: bool,
    cuda: bool,
    resident: bool = False,
) -> dict[str, Any]:
    """The full config of a Runner.

    Args:
        settings: The resolved settings.
        data_root: Folder of the pairs.
        work_dir: Where checkpoints and logs go.
        steps_per_epoch: Steps of this process in an epoch.
        tensorboard: Whether to write TensorBoard's files too.
        cuda: Whether the training runs on CUDA.
        resident: Whether the training pairs live on the device.
    """
    train = settings.train
    backends = [{"type": "LocalVisBackend"}]
    if tensorboard:
        backends.append({"type": "TensorboardVisBackend"})
    return {
        "model": network_config(settings),
        "work_dir": str(work_dir),
        "train_dataloader": loader_config(settings, data_root, pin_memory=cuda, resident=resident),
        "train_cfg": {"by_epoch": True, "max_epochs": train.epochs},
        "optim_wrapper": {
            "type": "AutocastOptimWrapper",
            "dtype": train.precision,
            "optimizer": optimizer_config(train.optimizer),
            **({"paramwise_cfg": {"custom_keys": rates}} if (rates := rate_config(train)) else {}),
        },
        "param_scheduler": scheduler_config(train, steps_per_epoch),
        "default_hooks": {
            "logger": {
                "type": "LoggerHook",
                "interval": min(train.log_every_steps, steps_per_epoch),
                "ignore_last": False,
            },
            "checkpoint": {
                "type": "CheckpointHook",
                "interval": train.checkpoint_every_epochs,
                "max_keep_ckpts": _LAST_TWO,
                "backend_args": {"backend": WHOLE_FILES},
            },
        },
        "custom_hooks": [
            {"type": "StepHook"},
            {"type": "FiniteLossHook"},
            {"type": "ThroughputHook"},
            {"type": "WaitHook"},
        ],
        "log_processor": {
            "mean_pattern": r"^(time|data_time)$",
            "custom_cfg": [
                {"data_src": name, "method_name": "mean", "window_size": "epoch"} for name in _watched(settings)
            ],
        },
        "visualizer": {"type": "Visualizer", "vis_backends": backends},
        "env_cfg": {"cudnn_benchmark": cuda, "dist_cfg": {"backend": "nccl" if cuda else "gloo"}},
        # DistributedDataParallel wants no device number on a CPU
        "model_wrapper_cfg": None
        if cuda
        else {"type": "MMDistributedDataParallel", "device_ids": None, "broadcast_buffers": False},
        "randomness": {"seed": train.seed},
        # a scope is global and outlives the run: mmdet's registry would not find its own ResNet in mmengine's
        "default_scope": None,
    }


def _watched(settings: Settings) -> tuple[str, ...]:
    """Scalars whose mean over the epoch is logged."""
    parts = ("loss_pairs", "loss_target") if settings.target.kind else ()
    return ("loss", *parts, "distance_match", "distance_nonmatch")


def network_config(settings: Settings) -> dict[str, Any]:
    """Registry config of the network."""
    known = architecture(settings.model["architecture"])
    preprocessor = {
        "type": "PairPreprocessor",
        "mean": list(known.mean),
        "std": list(known.std),
        "size_px": settings.data.size_px,
        "augment": asdict(settings.augment),
        "seed": settings.train.seed,
    }
    network = {**settings.model, "seed": settings.train.seed, "data_preprocessor": preprocessor}
    target = settings.target
    if target.kind:
        views = AugmentSettings(speckle_looks=target.speckle_looks, sar_gain_db=target.gain_db, sar_gamma=target.gamma)
        preprocessor["target"] = asdict(views)
        network |= {"target_loss": target.loss, "target_weight": target.weight}
    return network


def loader_config(settings: Settings, data_root: Path, *, pin_memory: bool, resident: bool = False) -> dict[str, Any]:
    """Config of the loader of training pairs; a last batch that is not full is left out."""
    data = settings.data
    workers = 0 if resident else data.workers
    return {
        "dataset": {
            "type": "ResidentPairDataset" if resident else "PairDataset",
            "root": str(data_root),
            "part": "train",
            "split": asdict(data.split_rule),
        },
        "sampler": {
            "type": "PairSampler",
            "seed": settings.train.seed,
            "with_partners": settings.model["negatives"] == "reference",
        },
        "collate_fn": {"type": "collate_pairs"},
        "batch_size": settings.train.batch_size,
        "drop_last": True,
        "num_workers": workers,
        "persistent_workers": workers > 0,
        # what is on the device cannot be pinned
        "pin_memory": pin_memory and not resident,
    }


def optimizer_config(optimizer: dict[str, Any]) -> dict[str, Any]:
    """The optimiser, in its fused form where torch has one: the plain loop over tensors costs percents of a step."""
    kind = OPTIMIZERS.get(optimizer["type"])
    if "fused" in inspect.signature(kind).parameters and not {"fused", "foreach"} & set(optimizer):
        return {**optimizer, "fused": True}
    return dict(optimizer)


def rate_config(train: TrainSettings) -> dict[str, dict[str, float]]:
    """Factors of the learning rate as mmengine names them; its longest key that fits counts."""
    return {name: {"lr_mult": float(factor)} for name, factor in train.lr_mult.items()}


def scheduler_config(train: TrainSettings, steps_per_epoch: int) -> list[dict[str, Any]]:
    """The learning rate over time, changed at every step.

    Args:
        train: Schedule, epochs and warm-up.
        steps_per_epoch: Steps of an epoch.
    """
    common = {"by_epoch": True, "convert_to_iter_based": True}
    plan: list[dict[str, Any]] = []
    # mmengine's rise over a single step stops where it began, and everything after it stays at a hundredth
    warmup = train.warmup_epochs if int(train.warmup_epochs * steps_per_epoch) > 1 else 0
    if warmup > 0:
        plan.append({"type": "LinearLR", "start_factor": 0.01, "begin": 0, "end": warmup, **common})
    if train.schedule == "cosine":
        plan.append(
            {
                "type": "CosineAnnealingLR",
                "eta_min_ratio": 0.01,
                "begin": warmup,
                "end": train.epochs,
                "T_max": train.epochs - warmup,
                **common,
            }
        )
    return plan


def build_runner(
    network: BridgeNetwork, config: dict[str, Any], *, config_path: Path, resume_from: Path | None, launcher: str
) -> QuietRunner:
    """Build the Runner around a network that has its weights already.

    Args:
        network: The network.
        config: What ``runner_config`` gave.
        config_path: The file it came from, which names the run.
        resume_from: The checkpoint to continue from, if there is one.
        launcher: "none", "pytorch" or "slurm".
    """
    # an objective of maps alone leaves the heads without gradients, for which several processes must not wait
    unused = {"find_unused_parameters": bool(network.objective.levels)}
    wrapper = config["model_wrapper_cfg"]
    config = {**config, **unused, "model_wrapper_cfg": wrapper and {**wrapper, **unused}}
    resume = {"resume": resume_from is not None, "load_from": None if resume_from is None else str(resume_from)}
    whole = Config({**config, **resume, "launcher": launcher}, filename=str(config_path))
    arguments = {name: value for name, value in config.items() if name not in ("model_wrapper_cfg", *unused)}
    return QuietRunner(**{**arguments, "model": network}, **resume, launcher=launcher, cfg=whole)


def open_readable_log(path: Path) -> logging.Logger:
    """Open mmengine's log: everything into a file; to the terminal all but the pages about machine and config."""
    logger: logging.Logger = open_log(path)
    for handler in logger.handlers:
        if not isinstance(handler, logging.FileHandler) and handler.level < logging.ERROR:
            handler.setLevel(logging.INFO)
            handler.addFilter(lambda record: not str(record.msg).startswith(_NOISE))
    return logger
