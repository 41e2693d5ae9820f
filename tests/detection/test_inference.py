"""Whole scenes, searched tile by tile."""

from __future__ import annotations

import numpy as np
import pytest

from osm.data.radiometry import Radiometry
from osm.data.scenes import read_scenes
from osm.detection.engine import build_detector
from osm.detection.inference import predict_scenes
from osm.detection.recipe import load_recipe
from osm.detection.tiles import SceneStore, cut
from osm.errors import ConfigError


def test_scenes_may_be_searched_in_other_tiles_than_were_trained_on(scenes_root, repo_root, tiny, tmp_path):
    path = repo_root / "configs/detect/demo_yolov3_narrow.py"
    recipe = load_recipe(path, {**tiny, "test.tile_px": 256})
    scenes = read_scenes(recipe.data.kind, scenes_root, "test", recipe.data.test_ids)
    assert len(cut(scenes, recipe.data)) > len(scenes)
    model, _ = build_detector(recipe, seed=0, weights=None, min_coverage=1.0)
    store = SceneStore(tmp_path, Radiometry.parse(recipe.data.radiometry))
    found = predict_scenes(model, scenes, store, recipe.data, recipe.test, lambda done, total: None)
    np.testing.assert_array_equal([tile.window for tile in found.tiles], [(0, 0, 256, 256)] * len(scenes))


def test_the_side_of_searched_tiles_decides_a_result_and_is_checked(repo_root):
    path = repo_root / "configs/detect/demo_yolov3_narrow.py"
    # runs that were finished before there was this setting are known by settings without it
    assert "tile_px" not in load_recipe(path).settings()["test"]
    assert load_recipe(path, {"test.tile_px": 256}).settings()["test"]["tile_px"] == 256
    with pytest.raises(ConfigError, match="multiple of 32"):
        load_recipe(path, {"test.tile_px": 100})
