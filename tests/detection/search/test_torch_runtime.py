"""The detector of a file finds what the detector in memory found."""

from __future__ import annotations

import json

import numpy as np
import pytest

from osm.detection.arms import Init
from osm.detection.finetune import finetune
from osm.detection.merge import merge_tiles
from osm.detection.predictions import read_predictions
from osm.detection.search.runtime import open_runtime
from osm.errors import WeightsError
from osm.transfer.export import write_safetensors


@pytest.mark.parametrize("which", ["yolo", "faster_rcnn"])
def test_tiles_of_a_run_are_found_again(which, request, scenes_root, tmp_path):
    recipe = request.getfixturevalue(which)
    finetune(recipe, init=Init("scratch"), data_root=scenes_root, work_dir=tmp_path)
    runtime = open_runtime(tmp_path / "detector.safetensors", "cpu")
    assert (runtime.tile_px, runtime.overlap_px, runtime.radiometry) == (128, 32, "percentile:0.5,99.5")
    images = {path: np.load(path) for path in (tmp_path / "cache").glob("*.npy")}
    stored = read_predictions(tmp_path / "predictions.json")
    scene = stored.scenes[0]
    own = [tile for tile in stored.tiles if tile.scene_id == scene.scene_id]
    windows = np.asarray([tile.window for tile in own])
    best = np.inf
    for image in images.values():
        tiles = np.stack([image[y1:y2, x1:x2] for x1, y1, x2, y2 in windows])
        found = runtime.predict(tiles)
        boxes, scores = merge_tiles(windows, [b for b, _ in found], [s for _, s in found])
        if len(scores) == len(scene.scores) and len(scores):
            best = min(best, np.abs(boxes - scene.boxes).max(), np.abs(scores - scene.scores).max())
    # the scene is one of those in the cache
    assert best < 1e-2


def test_a_backbone_is_no_detector(tmp_path):
    import torch

    write_safetensors(tmp_path / "a.safetensors", {"x": torch.zeros(2)}, {})
    with pytest.raises(WeightsError, match="without the recipe"):
        open_runtime(tmp_path / "a.safetensors", "cpu")
    write_safetensors(tmp_path / "b.safetensors", {"x": torch.zeros(2)}, {"osm.recipe": json.dumps("no")[:2]})
    with pytest.raises(WeightsError, match="broken recipe"):
        open_runtime(tmp_path / "b.safetensors", "cpu")
    with pytest.raises(WeightsError, match="no such file"):
        open_runtime(tmp_path / "c.onnx", "cpu")
