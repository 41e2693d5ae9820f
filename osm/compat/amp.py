"""Mixed precision on whatever device the model is on: mmengine's own wrapper refuses CPUs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from mmengine.optim import OptimWrapper
from mmengine.registry import OPTIM_WRAPPERS
from torch import nn

from osm.compat.device import PRECISIONS, precision_on
from osm.errors import ConfigError


@OPTIM_WRAPPERS.register_module()
class AutocastOptimWrapper(OptimWrapper):
    """Runs the forward pass under autocast; weights, gradients and optimiser stay float32.

    bfloat16 has float32's range of exponents, so gradients need no scaling and the checkpoint holds
    what a plain ``OptimWrapper`` writes: a run can change its ``dtype`` when it is resumed.

    Args:
        dtype: ``"bfloat16"``, ``"float32"`` for no autocast at all, or ``"auto"`` for what suits the model's device.
        **kwargs: Those of ``mmengine.optim.OptimWrapper``.

    Raises:
        ConfigError: Another ``dtype`` (float16 would need a gradient scaler).
    """

    def __init__(self, dtype: str = "auto", **kwargs: Any) -> None:
        if dtype not in PRECISIONS:
            raise ConfigError(
                "optim_wrapper.dtype",
                found=repr(dtype),
                expected=" or ".join(PRECISIONS),
                mend="change it in the config",
            )
        super().__init__(**kwargs)
        self.precision = dtype

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """The context of one forward pass of ``model`` in training."""
        device = next(model.parameters()).device.type
        enabled = precision_on(self.precision, device) == "bfloat16"
        with super().optim_context(model), torch.autocast(device, dtype=torch.bfloat16, enabled=enabled):
            yield
