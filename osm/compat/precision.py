"""Coordinates of boxes in float32 while the convolutions run in bfloat16.

Under autocast mmdet makes anchors and RoIs in the type of the maps they belong to. bfloat16 has eight
bits for a number: above 256 px, a box would move by up to two pixels.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

#: Heads whose outputs meet coordinates, and the extractor that takes coordinates to maps.
HEADS = ("rpn_head", "bbox_head", "roi_head.bbox_head")
EXTRACTOR = "roi_head.bbox_roi_extractor"


def keep_coordinates_exact(detector: nn.Module) -> None:
    """Hand float32 to everything in an mmdet detector that computes with coordinates; changed in place."""
    modules = dict(detector.named_modules())
    for name in HEADS:
        if name in modules:
            modules[name].register_forward_hook(lambda _module, _inputs, output: _float(output))
    if EXTRACTOR in modules:
        modules[EXTRACTOR].register_forward_pre_hook(lambda _module, inputs: _float(inputs))


def _float(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.float() if value.is_floating_point() else value
    if isinstance(value, (list, tuple)):
        return type(value)(_float(entry) for entry in value)
    return value
