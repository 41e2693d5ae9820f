"""Plain tensors under our own keys: for whoever reads safetensors and builds the backbone himself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from osm.transfer.adapters.base import Adapter, load_strict, same_keys
from osm.transfer.architectures import ARCHITECTURES, build_backbone

if TYPE_CHECKING:
    from torch import Tensor, nn


def build(architecture: str) -> nn.Module:
    """Our own backbone, all maps."""
    return build_backbone(architecture, range(len(ARCHITECTURES[architecture].channels)))


def features(model: nn.Module, images: Tensor) -> tuple[Tensor, ...]:
    """Its maps."""
    maps: tuple[Tensor, ...] = tuple(model(images))
    return maps


def usage(architecture: str, file: str) -> str:
    """How to read the file."""
    return f"from safetensors.torch import load_file\nstate = load_file({file!r})"


ADAPTER = Adapter(
    name="safetensors",
    architectures=tuple(ARCHITECTURES),
    rename=same_keys,
    build=build,
    load=load_strict,
    features=features,
    usage=usage,
    suffixes=(".safetensors",),
)
