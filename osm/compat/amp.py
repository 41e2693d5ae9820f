"""Mixed precision on whatever device the model is on: mmengine's own wrapper refuses CPUs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from mmengine.optim import OptimWrapper
from mmengine.registry import OPTIM_WRAPPERS
from torch import nn

from osm.errors import ConfigError

DTYPES = ("bfloat16", "float32")


@OPTIM_WRAPPERS.register_module()
class AutocastOptimWrapper(OptimWrapper):
    """Runs the forward pass under autocast; weights, gradients and optimiser stay float32.

    bfloat16 has float32's range of exponents, so gradients need no scaling and the checkpoint holds
    what a plain ``OptimWrapper`` writes: a run can change its ``dtype`` when it is resumed.

    Args:
        dtype: ``"bfloat16"``, or ``"float32"`` for no autocast at all.
        **kwargs: Those of ``mmengine.optim.OptimWrapper``.

    Raises:
        ConfigError: Another ``dtype`` (float16 would need a gradient scaler).
    """

    def __init__(self, dtype: str = "bfloat16", **kwargs: Any) -> None:
        if dtype not in DTYPES:
            raise ConfigError(
                "optim_wrapper.dtype", found=repr(dtype), expected=" or ".join(DTYPES), mend="change it in the config"
            )
        super().__init__(**kwargs)
        self.cast_dtype: torch.dtype = getattr(torch, dtype)

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """The context of one forward pass of ``model`` in training."""
        device = next(model.parameters()).device
        enabled = self.cast_dtype != torch.float32
        with (
            super().optim_context(model),
            torch.autocast(device.type, dtype=self.cast_dtype if enabled else None, enabled=enabled),
        ):
            yield
