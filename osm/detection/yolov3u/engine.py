"""ultralytics as an engine: YOLOv3u, trained by ultralytics' own trainer from our weights on our tiles.

ultralytics is AGPL-3.0 and an extra: nothing outside this folder and ``osm.transfer.adapters.ultralytics`` uses it,
and both import it where they need it.
"""

from __future__ import annotations

from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from osm.compat.device import pick_device, precision_on
from osm.compat.ultralytics_scope import absent, ultralytics_scope
from osm.data.scenes import OPTICAL
from osm.detection.engine import fed
from osm.detection.engines import Job
from osm.detection.recipe import Recipe, check_words, read_section
from osm.errors import ConfigError
from osm.files import atomic_path
from osm.transfer.architectures import UNIT_MEAN, UNIT_STD, architecture, build_backbone
from osm.transfer.certificate import Certificate
from osm.transfer.initialise import initialise
from osm.transfer.load import certify_random, load_backbone

if TYPE_CHECKING:
    from torch import nn

    from osm.detection.yolov3u.detector import YOLOv3uDetector

#: Words of ``train.optimizer``, and what its type may be.
OPTIMIZER = ("type", "lr", "momentum", "weight_decay")
OPTIMIZERS = ("SGD", "Adam", "AdamW", "Adamax", "NAdam", "RAdam", "RMSprop")


class UltralyticsEngine:
    """YOLOv3u, trained by ultralytics."""

    notice = (
        "engine ultralytics: AGPL-3.0, which also binds what is built on it and served over a network; "
        "the mmdet engine does without it"
    )
    remark = "an anchor-free head, trained by ultralytics; another detector than mmdet's YOLOv3"

    def check(self, recipe: Recipe) -> None:
        """See ``osm.detection.engines.Engine``.

        Raises:
            ConfigError: A word of ``model`` or of ``train.optimizer``, or the backbone, is not of this engine.
            EnvironmentProblem: ultralytics is not installed.
        """
        if find_spec("ultralytics") is None:
            raise absent("not installed")
        from osm.detection.yolov3u.detector import SearchSettings
        from osm.transfer.adapters.ultralytics import YAML_FILES

        path = recipe.path
        if recipe.data.kind in OPTICAL:
            raise ConfigError(
                path,
                found=f"data.kind = {recipe.data.kind!r}, optical scenes, with engine = 'ultralytics'",
                expected="SAR scenes, which have one band",
                mend="train on optical scenes with the mmdet engine",
            )
        read_section(path, "model", SearchSettings, {"model": recipe.model})
        check_words(path, "train.optimizer", set(recipe.train.optimizer), OPTIMIZER)
        for word in OPTIMIZER[1:]:
            value = recipe.train.optimizer.get(word, 0.0)
            if not isinstance(value, (int, float)) or not 0 <= value <= 1 or (word == "lr" and not value):
                raise ConfigError(
                    path,
                    found=f"train.optimizer.{word} = {value!r}",
                    expected="0 to 1, lr above 0",
                    mend="correct the value",
                )
        kind = recipe.train.optimizer.get("type")
        if kind not in OPTIMIZERS:
            raise ConfigError(
                path,
                found=f"train.optimizer.type = {kind!r}",
                expected=f"one of {', '.join(OPTIMIZERS)}",
                mend="correct the value",
            )
        known = architecture(recipe.architecture)
        # ultralytics divides by 255 and by nothing else: other statistics would break the weights' contract
        if (known.mean, known.std) != (UNIT_MEAN, UNIT_STD) or known.name not in YAML_FILES:
            raise ConfigError(
                path,
                found=f"architecture = {known.name!r} with engine = 'ultralytics'",
                expected="darknet53 or darknet-narrow, which are fed values divided by 255",
                mend="use the mmdet engine for other backbones",
            )

    def resolve(self, recipe: Recipe) -> dict[str, Any]:
        """See ``osm.detection.engines.Engine``."""
        from osm.detection.yolov3u.detector import SearchSettings

        return asdict(read_section(recipe.path, "model", SearchSettings, {"model": recipe.model}))

    def build(
        self,
        recipe: Recipe,
        *,
        seed: int,
        weights: Path | None,
        min_coverage: float,
        allow_contract_mismatch: bool = False,
    ) -> tuple[YOLOv3uDetector, Certificate]:
        """See ``osm.detection.engines.Engine``.

        The backbone is drawn and loaded as in the other engine, as our own module, and then copied: with the same
        seed and weights it is the same in both.

        Raises:
            WeightsError: The weights do not fit.
        """
        import torch

        from osm.detection.yolov3u.detector import SearchSettings, YOLOv3uDetector
        from osm.detection.yolov3u.network import backbone_of, build_network, fill_backbone

        name = recipe.architecture
        with torch.random.fork_rng(devices=[]):
            backbone = build_backbone(name)
        initialise(backbone, seed)
        if weights is None:
            certificate = certify_random(backbone, architecture=name, feeds=fed(recipe), target=recipe.detector)
        else:
            certificate = load_backbone(
                backbone,
                weights,
                architecture=name,
                min_coverage=min_coverage,
                feeds=fed(recipe),
                allow_mismatch=allow_contract_mismatch,
                target=recipe.detector,
            )
        precision = precision_on(recipe.train.precision, pick_device("auto"))
        network = build_network(name, seed, bfloat16=precision == "bfloat16")
        fill_backbone(network, backbone, name)
        certificate.check(backbone_of(network, name))
        settings = read_section(recipe.path, "model", SearchSettings, {"model": recipe.model})
        return YOLOv3uDetector(network, settings), certificate

    def train(self, detector: YOLOv3uDetector, certificate: Certificate, job: Job) -> YOLOv3uDetector:
        """See ``osm.detection.engines.Engine``.

        Raises:
            ConfigError: Several processes or TensorBoard were asked for, which this engine does not do.
            WeightsError: The backbone at the first step is not what was loaded.
            OSMError: From the training.
        """
        from mmengine.config import Config

        from osm.detection.train import CERTIFICATE, CHECKPOINTS, CONFIG, TRAINING
        from osm.detection.yolov3u.detector import YOLOv3uDetector
        from osm.detection.yolov3u.layout import write_layout
        from osm.detection.yolov3u.network import backbone_of
        from osm.detection.yolov3u.training import Run, train
        from osm.transfer.adapters.ultralytics import rename

        _check_job(job)
        recipe, folder = job.recipe, job.work_dir / CHECKPOINTS
        with atomic_path(job.work_dir / CONFIG) as temporary:
            Config(recipe.settings()).dump(temporary)

        def confirm(network: nn.Module) -> None:
            seen = certificate.at_step0(backbone_of(network, recipe.architecture))
            seen.write(job.work_dir / CERTIFICATE)
            seen.confirm()
            names = rename(recipe.architecture, list(certificate.backbone_sha256))
            job.witness.at_step0(network, set(names.values()))

        def validate(average: nn.Module, epochs: int, steps: int) -> None:
            if job.validate is not None:
                job.validate(YOLOv3uDetector(average, detector.settings), epochs, steps)

        run = Run(
            network=detector.network,
            confirm=confirm,
            images=write_layout(folder / "yolo", job.tiles, job.store, recipe.data.tile_px),
            tiles=len(job.tiles),
            tile_px=recipe.data.tile_px,
            settings=recipe.train,
            seed=job.seed,
            checkpoint=folder / "last.pt",
            curve=job.work_dir / TRAINING,
            resume=job.resume,
            progress=lambda done, total: job.progress("train", done, total),
            draws=job.witness.draws,
            validate=validate,
        )
        with ultralytics_scope(job.work_dir / "train.log"):
            average = train(run, folder / "ultralytics")
        return YOLOv3uDetector(average, detector.settings)


def _check_job(job: Job) -> None:
    if job.tensorboard:
        raise ConfigError(
            "--tensorboard",
            found="the ultralytics engine",
            expected="the mmdet engine, which alone knows that option",
            mend="leave --tensorboard out",
        )


ENGINE = UltralyticsEngine()
