"""mmdetection's ResNet and Darknet: our backbones are built from its registry, so that the keys are the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from osm.compat.scope import mmdet_scope
from osm.transfer.adapters.base import Adapter, load_strict, same_keys
from osm.transfer.architectures import ARCHITECTURES, register_backbones

if TYPE_CHECKING:
    from torch import Tensor, nn

#: As mmdetection's users spell them; whatever else it takes is its own default.
CONFIGS: dict[str, dict[str, Any]] = {
    "resnet18": {"type": "ResNet", "depth": 18, "style": "pytorch"},
    "resnet50": {"type": "ResNet", "depth": 50, "style": "pytorch"},
    "darknet53": {"type": "Darknet", "depth": 53},
}


def build(architecture: str) -> nn.Module:
    """mmdetection's backbone from its registry, all maps."""
    register_backbones()
    from mmdet.registry import MODELS

    levels = tuple(range(len(ARCHITECTURES[architecture].channels)))
    with mmdet_scope():
        model: nn.Module = MODELS.build({**CONFIGS[architecture], "out_indices": levels})
    return model


def features(model: nn.Module, images: Tensor) -> tuple[Tensor, ...]:
    """Its maps."""
    maps: tuple[Tensor, ...] = tuple(model(images))
    return maps


def usage(architecture: str, file: str) -> str:
    """What stands in a config of mmdetection, for a backbone and for a detector that has one."""
    known = ARCHITECTURES[architecture]
    config = ", ".join(f"{key}={value!r}" for key, value in CONFIGS[architecture].items())
    start = f"init_cfg=dict(type='Pretrained', checkpoint={file!r})"
    return (
        "# a backbone\n"
        f"backbone=dict({config}, {start})\n"
        "# a detector whose config has this backbone; nothing frozen, since that is made for ImageNet weights\n"
        "model=dict(\n"
        f"    data_preprocessor=dict(mean={list(known.mean)}, std={list(known.std)}, bgr_to_rgb=True),\n"
        f"    backbone=dict(frozen_stages=-1, norm_eval=False, {start}))"
    )


ADAPTER = Adapter(
    name="mmdet",
    architectures=tuple(CONFIGS),
    rename=same_keys,
    build=build,
    load=load_strict,
    features=features,
    usage=usage,
    # mmengine reads nothing else
    suffixes=(".pth",),
)
