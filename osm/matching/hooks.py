"""What is watched while the branches train."""

from __future__ import annotations

import math
import time
from typing import Any

from mmengine.dist import get_world_size
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.registry import HOOKS

from osm.errors import ConfigError


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
    """Stops at the first loss that is no number, before a checkpoint of it can be written."""

    priority = "HIGH"

    def after_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: dict[str, Any] | None = None
    ) -> None:
        """Check one step."""
        loss = float((outputs or {})["loss"].detach())
        if math.isfinite(loss):
            return
        pairs = ", ".join(str(index) for index in (data_batch or {}).get("index", [])[:4].tolist())
        kept = f"checkpoints up to epoch {runner.epoch} are whole" if runner.epoch else "no checkpoint was written yet"
        raise ConfigError(
            f"step {runner.iter + 1} (epoch {runner.epoch + 1})",
            found=f"a loss of {loss} on training pairs {pairs}, …; {kept}",
            expected="a finite loss",
            mend="lower train.optimizer.lr, lengthen train.warmup_epochs or set train.precision='float32'",
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
