"""Detectors with heads that find much, exported once a worker."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from osm.detection.recipe import Recipe


def write_detector(recipe: Recipe, path: Path, *, settle: bool = False) -> Path:
    """A detector.safetensors whose weights are random, with a head that is sure of itself.

    Deep random backbones let activations grow from block to block until rounding alone decides; ``settle`` gives their
    batch norms the statistics of some tiles, as training would.
    """
    import torch

    from osm.compat.runner import quiet_log
    from osm.detection.engines import find_engine
    from osm.transfer.export import write_safetensors

    quiet_log()
    detector: Any = find_engine(recipe.engine, "test").build(recipe, seed=0, weights=None, min_coverage=1.0)[0]
    torch.manual_seed(0)
    with torch.no_grad():
        if settle:
            for layer in detector.backbone.modules():
                if isinstance(layer, torch.nn.BatchNorm2d):
                    layer.momentum = 1.0
            detector.backbone.train()
            detector.backbone(torch.randn(4, 3, recipe.data.tile_px, recipe.data.tile_px))
        if hasattr(detector, "roi_head"):
            detector.rpn_head.rpn_cls.weight.normal_(0, 0.3)
            detector.rpn_head.rpn_reg.weight.normal_(0, 0.03)
            detector.roi_head.bbox_head.fc_cls.weight.normal_(0, 0.3)
        else:
            for layer in detector.bbox_head.convs_pred:
                layer.weight.normal_(0, 0.03 if settle else 0.1)
                layer.bias.zero_()
    settings = json.dumps(recipe.settings(), default=str)
    write_safetensors(path, detector.state_dict(), {"osm.recipe": settings})
    return path


@pytest.fixture(scope="session")
def exported(faster_rcnn, yolo, tmp_path_factory):
    """Name → (detector.safetensors, what export_onnx gave of it)."""
    pytest.importorskip("onnxscript", reason="onnxscript is not installed: pip install 'osm-ssd[onnx-export]'")
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed: pip install 'osm-ssd[onnx]'")
    from osm.cli.export import _tiles
    from osm.detection.onnx.exporting import export_onnx

    root = tmp_path_factory.mktemp("exported")
    made = {}
    for name, recipe in (("faster_rcnn", faster_rcnn), ("yolo", yolo)):
        source = write_detector(recipe, root / f"{name}.safetensors")
        made[name] = source, export_onnx(source, None, _tiles)
    return made
