"""The backbones that both stages know, built the same way in every arm and every branch."""

from __future__ import annotations

import io
from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from osm.compat.operators import ensure_operators
from osm.compat.scope import mmdet_scope
from osm.errors import ConfigError

if TYPE_CHECKING:
    from torch import nn

#: ImageNet statistics of torchvision, RGB, for values in 0..255.
IMAGENET_MEAN = (123.675, 116.28, 103.53)
IMAGENET_STD = (58.395, 57.12, 57.375)
#: Darknet's published weights were trained on values divided by 255.
UNIT_MEAN = (0.0, 0.0, 0.0)
UNIT_STD = (255.0, 255.0, 255.0)


@dataclass(frozen=True)
class Architecture:
    """One backbone.

    Attributes:
        name: The name used in cards, configs and tables.
        config: mmdet's registry config. Nothing is frozen, batch norm learns and no residual starts at
            zero: defaults made for ImageNet weights would handicap an arm that starts elsewhere.
        stages: Names of the child modules, shallow to deep, for a summary by stage.
        channels: Output channels of each index that ``out_indices`` may name.
        mean: Subtracted from the input, per channel (RGB), in units of 0..255.
        std: Divided by, likewise. Both are those of the published ImageNet weights of the architecture,
            so that every arm, whatever it starts from, is fed the same.
    """

    name: str
    config: dict[str, Any]
    stages: tuple[str, ...]
    channels: tuple[int, ...]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]


def _resnet(depth: int, widen: int) -> Architecture:
    return Architecture(
        name=f"resnet{depth}",
        config={
            "type": "ResNet",
            "depth": depth,
            "frozen_stages": -1,
            "norm_eval": False,
            "zero_init_residual": False,
            "style": "pytorch",
        },
        stages=("conv1", "bn1", "layer1", "layer2", "layer3", "layer4"),
        channels=tuple(widen * c for c in (64, 128, 256, 512)),
        mean=IMAGENET_MEAN,
        std=IMAGENET_STD,
    )


_DARKNET_STAGES = ("conv1", *(f"conv_res_block{i}" for i in range(1, 6)))

ARCHITECTURES: dict[str, Architecture] = {
    "resnet18": _resnet(18, 1),
    "resnet50": _resnet(50, 4),
    "darknet53": Architecture(
        name="darknet53",
        config={"type": "Darknet", "depth": 53, "frozen_stages": -1, "norm_eval": False},
        stages=_DARKNET_STAGES,
        channels=(32, 64, 128, 256, 512, 1024),
        mean=UNIT_MEAN,
        std=UNIT_STD,
    ),
    "darknet-narrow": Architecture(
        name="darknet-narrow",
        config={"type": "NarrowDarknet", "frozen_stages": -1, "norm_eval": False},
        stages=_DARKNET_STAGES,
        channels=(32, 32, 48, 64, 128, 256),
        mean=UNIT_MEAN,
        std=UNIT_STD,
    ),
}


def architecture(name: str) -> Architecture:
    """Look an architecture up.

    Raises:
        ConfigError: No backbone has that name.
    """
    if name not in ARCHITECTURES:
        known = ", ".join(ARCHITECTURES)
        raise ConfigError(name, found="no such backbone", expected=f"one of {known}", mend="correct the name")
    return ARCHITECTURES[name]


def register_backbones() -> None:
    """Make every backbone known to mmdet's registry; harmless when repeated."""
    ensure_operators()
    # mmdet's data sets, which its registries import by themselves later, print of a package nobody needs
    with redirect_stdout(io.StringIO()):
        import mmdet.datasets
        import mmdet.models  # noqa: F401  (registers ResNet and Darknet)

    import osm.transfer.narrow_darknet  # noqa: F401


def build_backbone(name: str, levels: Sequence[int] | None = None) -> nn.Module:
    """Build a backbone.

    Its parameters are whatever the framework draws: call ``initialise`` and ``load_backbone`` next.

    Args:
        name: A key of ``ARCHITECTURES``.
        levels: Indices of the maps to return, in rising order; the last alone by default.

    Returns:
        A module from (N, 3, H, W) to a tuple of maps, of which the last level is (N, C, H/32, W/32),
        C = ``channels[-1]``. The parameters are the same whatever the levels.

    Raises:
        ConfigError: No backbone has that name.
    """
    known = architecture(name)
    register_backbones()
    from mmdet.registry import MODELS

    wanted = (len(known.channels) - 1,) if levels is None else tuple(levels)
    with mmdet_scope():
        module: nn.Module = MODELS.build({**known.config, "out_indices": wanted})
    return module


def out_channels(name: str) -> tuple[int, ...]:
    """Channels of the maps of a backbone, by the index that ``out_indices`` uses."""
    return architecture(name).channels
