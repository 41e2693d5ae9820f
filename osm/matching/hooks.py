"""What is watched while the branches train."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from mmengine.dist import get_rank, get_world_size
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.registry import HOOKS

from osm.errors import ConfigError
from osm.matching.workdir import WorkDir


@HOOKS.register_module()
class StepHook(Hook):
    """Tells the network and its preprocessor the step that their draws derive from: a resumed run repeats them."""

    priority = "HIGH"

    def before_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None) -> None:
        """Set ``step`` of both."""
        network = runner.model.module if is_model_wrapper(runner.model) else runner.model
        network.step = runner.iter
        network.data_preprocessor.step = runner.iter


@HOOKS.register_module()
class FiniteLossHook(Hook):
    """Stops at the first loss, or the first weight, that is no number, before a checkpoint of it can be written."""

    priority = "HIGH"

    def after_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: dict[str, Any] | None = None
    ) -> None:
        """Check the loss of one step."""
        loss = float((outputs or {})["loss"].detach())
        if not math.isfinite(loss):
            names = runner.train_dataloader.dataset.names(data_batch["index"].tolist())
            raise _diverged(runner, runner.iter + 1, f"a loss of {loss} on the pairs {shortened(names)}{_process()}")

    def after_train_epoch(self, runner: Any) -> None:
        """Check all weights: the last step may have made them so from a loss that was finite still."""
        network = runner.model.module if is_model_wrapper(runner.model) else runner.model
        values = {name: value for name, value in network.state_dict().items() if value.is_floating_point()}
        finite = torch.stack([value.isfinite().all() for value in values.values()]).tolist()
        if not all(finite):
            name = list(values)[finite.index(False)]
            raise _diverged(runner, runner.iter, f"values in {name} that are no finite numbers")


def shortened(names: Sequence[str], most: int = 12) -> str:
    """The first names, and how many more there are."""
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "")


def _process() -> str:
    return f" (process {get_rank()} of {get_world_size()})" if get_world_size() > 1 else ""


def _diverged(runner: Any, step: int, found: str) -> ConfigError:
    last = next(iter(WorkDir(Path(runner.work_dir)).checkpoints), None)
    kept = f"the last good checkpoint is {last}" if last else "no checkpoint was written yet"
    return ConfigError(
        f"step {step} (epoch {runner.epoch + 1})",
        found=f"{found}; {kept}",
        expected="finite numbers",
        mend="lower train.optimizer.lr, lengthen train.warmup_epochs or set train.precision='float32'; "
        + ("--resume goes on from that checkpoint, --overwrite begins anew" if last else "begin anew"),
    )


@HOOKS.register_module()
class ThroughputHook(Hook):
    """Reports the pairs per second of the present epoch, loading included, over all processes."""

    priority = "NORMAL"

    def before_train_epoch(self, runner: Any) -> None:
        """Start the clock."""
        self.start_s = time.perf_counter()
        self.pairs = 0

    def after_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: dict[str, Any] | None = None
    ) -> None:
        """Count one batch."""
        self.pairs += len(data_batch["index"]) * get_world_size()
        rate = self.pairs / (time.perf_counter() - self.start_s)
        runner.message_hub.update_scalar("train/pairs_per_s", rate)


@HOOKS.register_module()
class WaitHook(Hook):
    """Reports the part of the present epoch in which steps waited for their batches: on CUDA, as the CPU sees it."""

    priority = "LOWEST"

    def before_train_epoch(self, runner: Any) -> None:
        """Start the clocks."""
        self.start_s = self.since_s = time.perf_counter()
        self.waited_s = 0.0

    def before_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None) -> None:
        """A batch is there."""
        now_s = time.perf_counter()
        self.waited_s += now_s - self.since_s
        runner.message_hub.update_scalar("train/data_share", self.waited_s / (now_s - self.start_s))

    def after_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: dict[str, Any] | None = None
    ) -> None:
        """The next batch is waited for from now on."""
        self.since_s = time.perf_counter()
