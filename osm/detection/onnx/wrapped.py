"""What all graphs begin with, and how they say that a detector has a part they do not know."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from osm.errors import ConfigError


class Normalise(nn.Module):
    """8-bit tiles as the network is fed them: one band on three channels, minus mean, over std.

    Args:
        preprocessor: mmdet's ``DetDataPreprocessor``.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, preprocessor: Any) -> None:
        super().__init__()
        self.register_buffer("mean", preprocessor.mean.detach().clone(), persistent=False)
        self.register_buffer("std", preprocessor.std.detach().clone(), persistent=False)

    def forward(self, tiles: Tensor) -> Tensor:
        """(N, H, W) uint8 → (N, 3, H, W) float32."""
        return (tiles[:, None].float() - self.mean) / self.std


def require(known: bool, what: str, expected: str) -> None:
    """Refuse a detector that the graph would not be equal to.

    Raises:
        ConfigError: It is one.
    """
    if not known:
        raise ConfigError(
            f"model.{what}", found="a setting that the ONNX graph does not know", expected=expected,
            mend="search with torch (detector.safetensors), or train it with that setting",
        )  # fmt: skip
