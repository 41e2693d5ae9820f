"""What is watched while a detector trains: the loss and the clock; its weights are, by ``osm.transfer.step0``."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.hooks import Hook

from osm.detection.witness import Witness
from osm.errors import OSMError
from osm.files import read_json, write_json


class DivergedError(OSMError):
    """The loss of a training run is no longer a number."""


class StepSeedHook(Hook):
    """Gives every step draws of its own: what mmdet samples of boxes does not depend on how often others were drawn.

    A run that goes on after an interruption draws as one that was never interrupted, and cells of one seed draw alike
    at each step, though one of them may have had more boxes to choose from before.

    Args:
        seed: Of the training.
    """

    priority = "VERY_HIGH"

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def before_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None) -> None:
        """Seed torch's generators."""
        state = np.random.SeedSequence([self.seed, runner.iter]).generate_state(1, np.uint64)
        torch.manual_seed(int(state[0] >> np.uint64(1)))


class WitnessHook(Hook):
    """Shows the detector at its very first step to the witness.

    Args:
        witness: Of the training.
        part: Name of the backbone within the model.
    """

    priority = "LOWEST"  # after all that others do before a step

    def __init__(self, witness: Witness, part: str = "backbone") -> None:
        self.witness = witness
        self.part = part

    def before_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None) -> None:
        """Look once."""
        if runner.iter:
            return
        model = runner.model
        backbone = model.get_submodule(self.part).state_dict()
        self.witness.at_step0(model, {f"{self.part}.{key}" for key in backbone})


class ValidationHook(Hook):
    """Looks at the validation scenes after an epoch; the training goes on as if it had not.

    Args:
        validate: ``Job.validate``.
    """

    def __init__(self, validate: Callable[[Any, int, int], None]) -> None:
        self.validate = validate

    def after_train_epoch(self, runner: Any) -> None:
        """Look."""
        self.validate(runner.model, runner.epoch + 1, runner.iter)
        runner.model.train()


class CurveHook(Hook):
    """Keeps the loss of every step, writes ``training.json`` and reports progress.

    Args:
        path: The file to write at the end of every epoch.
        progress: Called with steps done and steps in all.
    """

    def __init__(self, path: Path, progress: Callable[[int, int], None]) -> None:
        self.path = path
        self.progress = progress
        self.points: list[dict[str, float]] = []

    def before_train(self, runner: Any) -> None:
        """Take up the curve of the run that is resumed."""
        if runner.iter and self.path.is_file():
            self.points = [point for point in read_json(self.path) if point["step"] <= runner.iter]

    def after_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: dict[str, Any] | None = None
    ) -> None:
        """Record one step; stop if the loss is no number."""
        loss = float((outputs or {})["loss"].detach())
        step = runner.iter + 1
        if not math.isfinite(loss):
            raise DivergedError(
                f"step {step}",
                found=f"a loss of {loss}",
                expected="a finite loss",
                mend="lower train.optimizer.lr or set train.precision='float32'",
            )
        epoch = runner.epoch + (batch_idx + 1) / len(runner.train_dataloader)
        self.points.append({"step": step, "epoch": epoch, "loss": loss, "lr": runner.optim_wrapper.get_lr()["lr"][0]})
        self.progress(step, runner.max_iters)

    def after_train_epoch(self, runner: Any) -> None:
        """Write what there is."""
        write_json(self.path, self.points)
