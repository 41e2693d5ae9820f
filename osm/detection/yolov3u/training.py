"""ultralytics' trainer held to a recipe: our network, our tiles in our order, our schedule, no word to anybody.

Left as they are: its loop, its loss, its optimisers and groups of parameters, and the moving average of the weights,
which is the detector that comes out. Replaced: what would change a setting behind the recipe's back (its own
augmentation, the accumulation over 64 images, the halving of a batch that does not fit), what would choose weights by
a score of test scenes, and whatever reaches out of the process.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from mmengine.logging import MMLogger
from torch import nn
from torch.utils.data import DataLoader, Dataset

from osm.compat.checkpoints import load_from_local
from osm.detection.dataset import TURNS, TurningSampler, turn_boxes, turn_image
from osm.detection.hooks import DivergedError
from osm.detection.recipe import TrainSettings
from osm.detection.witness import Draws
from osm.errors import ConfigError, DataError
from osm.files import atomic_path, read_json, write_json


@dataclass(frozen=True, eq=False)
class Run:
    """What one training has to know.

    Attributes:
        network: Of ``build_network``, its backbone filled.
        confirm: Called with the network at the first step; raises if its backbone is not what was loaded.
        images: Folder of the layout's images.
        tiles: How many there are.
        tile_px: Their side.
        settings: The recipe's.
        seed: Of order and turns.
        checkpoint: File to resume from.
        curve: File of the loss of every step.
        resume: Whether to continue from ``checkpoint`` if it is there.
        progress: Called with steps done and steps in all.
        draws: Told of every tile that is read.
        validate: Called with the average of the network, epochs and steps done after every epoch.
    """

    network: nn.Module
    confirm: Callable[[nn.Module], None]
    images: Path
    tiles: int
    tile_px: int
    settings: TrainSettings
    seed: int
    checkpoint: Path
    curve: Path
    resume: bool
    progress: Callable[[int, int], None]
    validate: Callable[[nn.Module, int, int], None]
    draws: Draws = field(default_factory=Draws)


def rate(schedule: str, epoch: int, epochs: int) -> float:
    """The learning rate in an epoch, as a fraction of its highest: the recipe's schedules, by epoch."""
    if schedule == "cosine":
        return 0.01 + 0.99 * (1 + math.cos(math.pi * epoch / epochs)) / 2
    if schedule == "step":
        return 0.1 ** ((epoch >= epochs * 2 / 3) + (epoch >= epochs * 8 / 9))
    return 1.0


def trainer_settings(run: Run, folder: Path) -> dict[str, Any]:
    """The recipe in ultralytics' words; what has no word there is said by ``RecipeTrainer``."""
    settings = run.settings
    optimizer = dict(settings.optimizer)
    momentum = optimizer.get("momentum", 0.9)
    return {
        # no file: get_model and get_dataset answer for both
        "model": "yolov3u.yaml",
        "data": "tiles.yaml",
        "save_dir": str(folder),
        "exist_ok": True,
        "pretrained": False,
        "epochs": settings.epochs,
        "batch": settings.batch_size,
        # every step is a step: ultralytics would gather the gradients of 64 images
        "nbs": settings.batch_size,
        "imgsz": run.tile_px,
        "optimizer": optimizer["type"],
        "lr0": optimizer["lr"],
        "momentum": momentum,
        "weight_decay": optimizer.get("weight_decay", 0.0),
        "warmup_momentum": momentum,
        "warmup_bias_lr": 0.0,
        # the network sees to it; ultralytics refuses CPUs, and tries its own on a model that has to be downloaded
        "amp": False,
        "device": str(torch.cuda.current_device()) if torch.cuda.is_available() else "cpu",
        "seed": run.seed,
        "deterministic": False,
        "workers": 0,
        "cache": False,
        "close_mosaic": 0,
        "patience": 0,
        "val": False,
        "plots": False,
        "verbose": False,
    }


class TurningTiles(Dataset[dict[str, Any]]):
    """ultralytics' data set, read and turned by the codes of ``TurningSampler``.

    Args:
        tiles: Its ``YOLODataset``, without augmentation.
        draws: Told of every tile that is read.
    """

    def __init__(self, tiles: Any, draws: Draws) -> None:
        self.tiles, self.draws = tiles, draws

    def __len__(self) -> int:
        return len(self.tiles)

    def __getitem__(self, code: int) -> dict[str, Any]:
        """One tile, ``code`` = ``index × 8 + turn``."""
        from ultralytics.utils.instance import Instances

        self.draws.note(code)
        index, turn = divmod(code, TURNS)
        label = self.tiles.get_image_and_label(index)
        height_px, width_px = label["img"].shape[:2]
        instances = label["instances"]
        instances.convert_bbox("xyxy")
        instances.denormalize(width_px, height_px)
        boxes = turn_boxes(instances.bboxes, turn, width_px, height_px).astype(np.float32)
        label["instances"] = Instances(boxes, bbox_format="xyxy", normalized=False)
        label["img"] = np.ascontiguousarray(turn_image(label["img"], turn))
        found: dict[str, Any] = self.tiles.transforms(label)
        return found


class RecipeTrainer:
    """Mixed into ultralytics' ``DetectionTrainer``, before it; see the module.

    Args:
        run: What to train.
        folder: For what ultralytics writes.
    """

    # of ultralytics' trainer
    args: Any
    device: torch.device
    model: Any
    ema: Any
    optimizer: Any
    train_loader: Any
    loss: torch.Tensor
    epochs: int
    epoch: int
    start_epoch: int
    scheduler: Any

    def __init__(self, run: Run, folder: Path) -> None:
        self.run = run
        self.points: list[dict[str, float]] = []
        threads = torch.get_num_threads()
        start: Any = super().__init__
        start(overrides=trainer_settings(run, folder))
        # it takes all cores but one, whatever its share
        torch.set_num_threads(threads)

    def get_model(self, cfg: Any = None, weights: Any = None, verbose: bool = True) -> nn.Module:
        """The network that was loaded: ultralytics would build another from a file."""
        return self.run.network

    def get_dataset(self) -> dict[str, Any]:
        """The layout; ultralytics would look for a file, a font and an archive to download."""
        images = str(self.run.images)
        return {"train": images, "val": images, "nc": 1, "names": {0: "ship"}, "channels": 3}

    def get_dataloader(self, dataset_path: str, batch_size: int = 16, rank: int = 0, mode: str = "train") -> Any:
        """Our order and turns. The loader for validation is never read.

        Raises:
            ConfigError: The batch did not fit into memory, and ultralytics would go on with half of it.
            DataError: A tile or a label did not survive ultralytics' check.
        """
        if mode != "train":
            return self.train_loader
        if batch_size != self.run.settings.batch_size:
            raise ConfigError(
                "train.batch_size",
                found=f"a batch of {self.run.settings.batch_size} tiles that does not fit into the device's memory",
                expected="one that does",
                mend="lower train.batch_size or data.tile_px, in every arm",
            )
        dataset = TurningTiles(self._read_layout(dataset_path), self.run.draws)
        return DataLoader(
            dataset,
            batch_size=batch_size,
            sampler=TurningSampler(dataset, self.run.seed, self.run.settings.augment),
            drop_last=True,
            collate_fn=dataset.tiles.collate_fn,
        )

    def _read_layout(self, folder: str) -> Any:
        from ultralytics.data.dataset import YOLODataset

        tiles = YOLODataset(
            img_path=folder, imgsz=self.run.tile_px, augment=False, hyp=self.args, data=self.get_dataset(), pad=0.0
        )
        if len(tiles) != self.run.tiles:
            raise DataError(
                folder,
                found=f"{len(tiles)} tiles that ultralytics can read",
                expected=f"the {self.run.tiles} that were written",
                mend="see train.log beside certificate.json",
            )
        return tiles

    def get_validator(self) -> Any:
        """None: one evaluator scores every engine, and no weights are chosen by it."""
        return SimpleNamespace(metrics=SimpleNamespace(keys=[]))

    def validate(self) -> tuple[dict[str, float], None]:
        """Nothing: see ``get_validator``."""
        return {}, None

    def final_eval(self) -> None:
        """Nothing: the weights of the last epoch are the result."""

    def save_metrics(self, metrics: Any) -> None:
        """Nothing: ``training.json`` has them."""

    def _handle_nan_recovery(self, epoch: int) -> bool:
        # a loss that is no number has stopped the run before this
        return False

    def _setup_scheduler(self) -> None:
        settings = self.run.settings
        self.lf = lambda epoch: rate(settings.schedule, epoch, settings.epochs)
        self.scheduler = torch.optim.lr_scheduler.LambdaLR(self.optimizer, lr_lambda=self.lf)

    def _get_warmup_iterations(self, num_batches: int) -> int:
        # as in the other engine, never longer than a tenth of the run
        return min(self.run.settings.warmup_steps, self.run.settings.epochs * num_batches // 10)

    def optimizer_step(self) -> None:
        """A step with the recipe's limit to the gradient, in place of ultralytics' 10."""
        if self.run.settings.clip_norm > 0:
            nn.utils.clip_grad_norm_(self.model.parameters(), max_norm=self.run.settings.clip_norm)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.ema.update(self.model)

    def run_callbacks(self, event: str) -> None:
        """Ours alone: no integration, no analytics."""
        ours: dict[str, Callable[[], None]] = {
            "on_train_epoch_start": self._begin_epoch,
            "on_train_batch_start": self._begin_step,
            "on_train_batch_end": self._end_step,
            "on_train_epoch_end": self._end_epoch,
        }
        if event in ours:
            ours[event]()

    def _begin_epoch(self) -> None:
        self.train_loader.sampler.set_epoch(self.epoch)

    def _begin_step(self) -> None:
        if not self.points:
            self.run.confirm(self.model)

    def _end_step(self) -> None:
        # ultralytics' loss grows with the batch
        loss = float(self.loss.detach()) / self.run.settings.batch_size
        step = len(self.points) + 1
        if not math.isfinite(loss):
            raise DivergedError(
                f"step {step}",
                found=f"a loss of {loss}",
                expected="a finite loss",
                mend="lower train.optimizer.lr or set train.precision='float32'",
            )
        steps = len(self.train_loader)
        lr = float(self.optimizer.param_groups[0]["lr"])
        self.points.append({"step": step, "epoch": step / steps, "loss": loss, "lr": lr})
        self.run.progress(step, steps * self.epochs)

    def _end_epoch(self) -> None:
        write_json(self.run.curve, self.points)
        self.run.validate(self.ema.ema, self.epoch + 1, len(self.points))

    def save_model(self) -> bool:
        """What is needed to resume: tensors alone, at full precision; ultralytics pickles half-precision modules."""
        every = self.run.settings.checkpoint_epochs
        done = self.epoch + 1
        if not every or done % every or done == self.epochs:
            return False
        state = {
            "epochs": done,
            "model": self.model.state_dict(),
            "average": self.ema.ema.state_dict(),
            "updates": self.ema.updates,
            "optimizer": self.optimizer.state_dict(),
        }
        with atomic_path(self.run.checkpoint) as temporary:
            torch.save(state, temporary)
        return True

    def resume_training(self, ckpt: Any) -> None:
        """Take up where ``save_model`` left off, to the same result as without the interruption."""
        if not self.run.resume:
            return
        if not self.run.checkpoint.is_file():
            logger = MMLogger.get_current_instance()
            logger.warning("nothing to resume from (train.checkpoint_epochs): the training starts anew")
            return
        state = load_from_local(str(self.run.checkpoint), map_location=self.device)
        self.model.load_state_dict(state["model"])
        self.ema.ema.load_state_dict(state["average"])
        self.ema.updates = state["updates"]
        self.optimizer.load_state_dict(state["optimizer"])
        self.start_epoch = state["epochs"]
        self.points = read_json(self.run.curve)[: self.start_epoch * len(self.train_loader)]


def train(run: Run, folder: Path) -> nn.Module:
    """Train, within ``ultralytics_scope``.

    Args:
        run: What to train; its network is changed.
        folder: For what ultralytics writes.

    Returns:
        The moving average of the network, in evaluation mode.

    Raises:
        OSMError: As ``RecipeTrainer`` says; or from ``run.confirm``.
    """
    from ultralytics.models.yolo.detect import DetectionTrainer

    # a name without "Trainer" in it loads none of ultralytics' integrations
    kind: Any = type("ByRecipe", (RecipeTrainer, DetectionTrainer), {})
    trainer = kind(run, folder)
    trainer.train()
    average: nn.Module = trainer.ema.ema
    return average
