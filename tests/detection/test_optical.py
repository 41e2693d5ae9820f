"""Optical scenes become tiles in their colours: what a detector learns that is transferred from aerial images."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from osm.data.radiometry import Radiometry
from osm.data.scenes import read_scenes
from osm.detection.arms import Init
from osm.detection.dataset import TURNS, TileDataset, turn_image
from osm.detection.finetune import finetune
from osm.detection.recipe import load_recipe
from osm.detection.tiles import SceneStore, cut
from osm.simulate import simulate_scenes


@pytest.fixture(scope="module")
def dota(tmp_path_factory):
    root = tmp_path_factory.mktemp("data") / "dota"
    simulate_scenes(root, count=8, seed=1, width_px=256, height_px=300, layout="dota")
    return root


@pytest.fixture(scope="module")
def recipe(repo_root):
    sizes = {"data.tile_px": 128, "data.overlap_px": 32, "train.epochs": 1, "train.batch_size": 4}
    data = {"data.kind": "dota", "data.test_split": "val", "data.radiometry": "none"}
    return load_recipe(repo_root / "configs/detect/demo_yolov3_narrow.py", {**sizes, **data})


def test_tiles_keep_their_colours_and_turn_as_grey_ones_do(dota, recipe, tmp_path):
    (scene, *_) = scenes = read_scenes("dota", dota, "train")
    tiles = cut(scenes, recipe.data)
    dataset = TileDataset(tiles, SceneStore(tmp_path, Radiometry.parse("none")), 128)
    whole = np.asarray(Image.open(scene.image_path))
    x1, y1, x2, y2 = tiles[1].window
    for turn in (0, 5):
        inputs = dataset[TURNS + turn]["inputs"].numpy()
        assert inputs.shape == (3, 128, 128)
        np.testing.assert_array_equal(inputs.transpose(1, 2, 0), turn_image(whole[y1:y2, x1:x2], turn))
    assert len({inputs[band].tobytes() for band in range(3)}) == 3


def test_a_detector_learns_from_them(dota, recipe, tmp_path):
    result = finetune(recipe, init=Init("scratch"), data_root=dota, work_dir=tmp_path / "run")
    assert result.train_tiles >= 4
    assert (tmp_path / "run" / "detector.safetensors").is_file()
