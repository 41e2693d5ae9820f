"""mmdet as an engine: a recipe becomes a model, an optimiser and what a Runner needs to know."""

from __future__ import annotations

import copy
import warnings
from typing import TYPE_CHECKING, Any

from osm.compat.optimizers import check_optimizer
from osm.compat.scope import mmdet_scope
from osm.data.scenes import OPTICAL
from osm.detection.engines import Job
from osm.detection.recipe import Recipe, TrainSettings
from osm.detection.vocabulary import check_types
from osm.errors import ConfigError
from osm.transfer.architectures import architecture, register_backbones
from osm.transfer.card import InputContract
from osm.transfer.certificate import Certificate
from osm.transfer.initialise import initialise
from osm.transfer.load import certify_random, load_backbone

if TYPE_CHECKING:
    from pathlib import Path

    from mmengine.model import BaseModel
    from torch import nn


def model_config(recipe: Recipe) -> dict[str, Any]:
    """mmdet's model config with the recipe's backbone and input statistics put in.

    Every arm gets this same config. No ``init_cfg`` survives in the backbone: weights arrive through
    ``osm.transfer`` alone.
    """
    config = copy.deepcopy(recipe.model)
    known = architecture(recipe.architecture)
    neck = config.get("neck", {})
    wanted = neck.get("type")
    if wanted == "FPN":
        out_indices = tuple(range(len(known.channels)))[-4:]
        neck["in_channels"] = [known.channels[i] for i in out_indices]
    elif wanted == "YOLOV3Neck":
        out_indices = tuple(range(len(known.channels)))[-3:]
        neck["in_channels"] = [known.channels[i] for i in reversed(out_indices)]
    else:
        raise ConfigError(
            recipe.path,
            found=f"model.neck of type {wanted!r}",
            expected="FPN or YOLOV3Neck",
            mend="inherit from configs/detect/_base_/faster-rcnn.py or yolov3.py",
        )
    config["backbone"] = {**known.config, "out_indices": out_indices}
    config["data_preprocessor"] = {
        "type": "DetDataPreprocessor",
        "mean": list(known.mean),
        "std": list(known.std),
        "bgr_to_rgb": False,
        "pad_size_divisor": 32,
    }
    return config


def fed(recipe: Recipe) -> InputContract:
    """What this engine feeds a backbone: 8-bit SAR, replicated, or colours; normalised as ``model_config`` says."""
    return contract_of(recipe.architecture, recipe.data.kind, recipe.data.radiometry)


def contract_of(name: str, kind: str, radiometry: str) -> InputContract:
    """What a backbone is fed of scenes of a kind of ``osm.data.scenes``."""
    return InputContract.of(name, radiometry=radiometry, bands=3 if kind in OPTICAL else 1)


def build_detector(
    recipe: Recipe,
    *,
    seed: int,
    weights: Path | None,
    min_coverage: float,
    allow_contract_mismatch: bool = False,
) -> tuple[BaseModel, Certificate]:
    """Build a detector, draw what is random by the seed, and load its backbone.

    With the same recipe and seed, every tensor that no file fills is the same in every arm: neck and
    heads by mmdet's own scheme, the backbone by ``osm.transfer.initialise``.

    Args:
        recipe: The recipe.
        seed: Seed of the draw.
        weights: File for the backbone; None leaves it at its random start.
        min_coverage: Least fraction of the backbone's tensors that the file must fill.
        allow_contract_mismatch: Whether weights that were trained on other input are loaded all the same.

    Returns:
        The detector, in training mode, and the certificate of its backbone.

    Raises:
        ConfigError: mmdet cannot build the model.
        WeightsError: The weights do not fit.
    """
    register_backbones()
    import torch
    from mmdet.registry import MODELS
    from mmengine.config import ConfigDict

    from osm.compat.precision import keep_coordinates_exact

    resolved = model_config(recipe)
    check_types(recipe.path, resolved)
    config = ConfigDict(resolved)
    with torch.random.fork_rng(devices=[]), mmdet_scope(), warnings.catch_warnings():
        # ATSS reads a property that mmdet has renamed
        warnings.filterwarnings("ignore", message="DeprecationWarning: `num_anchors`")
        torch.manual_seed(seed)
        try:
            model: BaseModel = MODELS.build(config)
        except (TypeError, KeyError, ValueError, AttributeError, AssertionError) as error:
            raise ConfigError(
                recipe.path,
                found=f"a model that mmdet cannot build ({str(error).splitlines()[-1]})",
                expected="mmdet's vocabulary below model",
                mend="correct the name in the config",
            ) from error
        # once, now: mmengine would otherwise draw everything anew when training starts
        model.init_weights()
    keep_coordinates_exact(model)
    backbone: nn.Module = model.backbone
    initialise(backbone, seed)
    if weights is None:
        certificate = certify_random(
            backbone, architecture=recipe.architecture, feeds=fed(recipe), target=recipe.detector
        )
    else:
        certificate = load_backbone(
            backbone,
            weights,
            architecture=recipe.architecture,
            min_coverage=min_coverage,
            feeds=fed(recipe),
            allow_mismatch=allow_contract_mismatch,
            target=recipe.detector,
        )
    model.train()
    return model, certificate


def optim_wrapper(settings: TrainSettings) -> dict[str, Any]:
    """mmengine's config of the optimiser, mixed precision and clipping included."""
    wrapper: dict[str, Any] = {
        "type": "AutocastOptimWrapper",
        "dtype": settings.precision,
        "optimizer": dict(settings.optimizer),
    }
    if settings.clip_norm > 0:
        wrapper["clip_grad"] = {"max_norm": settings.clip_norm}
    return wrapper


def schedulers(settings: TrainSettings, steps_per_epoch: int) -> list[dict[str, Any]]:
    """mmengine's configs of the learning rate over time, by step."""
    total = settings.epochs * steps_per_epoch
    # a warm-up is never longer than a tenth of the run
    warmup = min(settings.warmup_steps, total // 10)
    plan: list[dict[str, Any]] = []
    if warmup:
        plan.append({"type": "LinearLR", "start_factor": 0.01, "by_epoch": False, "begin": 0, "end": warmup})
    if settings.schedule == "cosine":
        lr = float(settings.optimizer["lr"])
        plan.append(
            {
                "type": "CosineAnnealingLR",
                "eta_min": lr / 100,
                "by_epoch": False,
                "begin": warmup,
                "end": total,
                "T_max": total - warmup,
            }
        )
    elif settings.schedule == "step":
        plan.append(
            {"type": "MultiStepLR", "milestones": [total * 2 // 3, total * 8 // 9], "gamma": 0.1, "by_epoch": False}
        )
    return plan


class MMDetEngine:
    """mmdet's detectors, trained by mmengine's Runner."""

    notice = ""
    remark = ""

    def check(self, recipe: Recipe) -> None:
        """Of the model mmdet judges itself, when it builds it, but for names that it would import.

        Raises:
            ConfigError: A type that is not registered, or an optimiser that torch does not take.
        """
        check_types(recipe.path, model_config(recipe))
        check_optimizer(recipe.path, recipe.train.optimizer)

    def resolve(self, recipe: Recipe) -> dict[str, Any]:
        """See ``osm.detection.engines.Engine``."""
        return model_config(recipe)

    def build(
        self,
        recipe: Recipe,
        *,
        seed: int,
        weights: Path | None,
        min_coverage: float,
        allow_contract_mismatch: bool = False,
    ) -> tuple[BaseModel, Certificate]:
        """See ``build_detector``."""
        return build_detector(
            recipe,
            seed=seed,
            weights=weights,
            min_coverage=min_coverage,
            allow_contract_mismatch=allow_contract_mismatch,
        )

    def train(self, detector: BaseModel, certificate: Certificate, job: Job) -> BaseModel:
        """Train by a Runner, in place."""
        from osm.detection.runner import build_runner

        build_runner(detector, certificate, job).train()
        return detector


ENGINE = MMDetEngine()
