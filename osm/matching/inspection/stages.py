"""What each stage of a backbone puts out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

Map = npt.NDArray[np.float32]


def stage_maps(backbone: nn.Module, stages: Sequence[str], images: Tensor) -> dict[str, Map]:
    """Run a backbone in evaluation and keep what its stages put out.

    Args:
        backbone: Its mode is restored.
        stages: Names of child modules, as ``osm.transfer.architectures`` lists them.
        images: One normalised image (1, 3, H, W).

    Returns:
        Stage → (C, h, w) float32, as the module returned it: of a batch norm, before the ReLU that follows.

    Raises:
        ValueError: More than one image, or no such stage.
    """
    if len(images) != 1:
        raise ValueError(f"{len(images)} images; one at a time")
    was_training = backbone.training
    backbone.eval()
    with _tapped(backbone, stages) as maps, torch.inference_mode():
        backbone(images)
    backbone.train(was_training)
    return {stage: maps[stage] for stage in stages}


@contextmanager
def _tapped(backbone: nn.Module, stages: Sequence[str]) -> Iterator[dict[str, Map]]:
    children = dict(backbone.named_children())
    if missing := [stage for stage in stages if stage not in children]:
        raise ValueError(f"the backbone has no stage {missing[0]}")
    maps: dict[str, Map] = {}

    def keep(stage: str, output: Tensor) -> None:
        # a copy: a ReLU that follows may work in place
        maps[stage] = output[0].float().cpu().numpy().copy()

    handles = [
        children[stage].register_forward_hook(lambda module, inputs, output, stage=stage: keep(stage, output))
        for stage in stages
    ]
    try:
        yield maps
    finally:
        for handle in handles:
            handle.remove()
