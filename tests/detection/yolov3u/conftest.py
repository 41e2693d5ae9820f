"""The demonstration's YOLOv3u at its smallest; everything here needs ultralytics."""

from __future__ import annotations

from pathlib import Path

import pytest

from osm.data.radiometry import Radiometry
from osm.data.scenes import read_scenes
from osm.detection.recipe import Recipe, load_recipe
from osm.detection.tiles import SceneStore, Tile, training_tiles

SMALL = {
    "data.tile_px": 128,
    "data.overlap_px": 32,
    "train.epochs": 2,
    "train.batch_size": 8,
    "train.precision": "float32",
    "train.checkpoint_epochs": 1,
    "test.precision": "float32",
}


@pytest.fixture(scope="session")
def yolov3u(repo_root: Path, needs_ultralytics: None) -> Recipe:
    """Two epochs, with a checkpoint after the first."""
    return load_recipe(repo_root / "configs/detect/demo_yolov3u_narrow.py", SMALL)


@pytest.fixture(scope="session")
def tiles(yolov3u: Recipe, scenes_root: Path) -> list[Tile]:
    """Training tiles of the tiny data set, some with ships."""
    return training_tiles(read_scenes(yolov3u.data.kind, scenes_root, "train", None), yolov3u.data)


@pytest.fixture(scope="session")
def store(yolov3u: Recipe, tmp_path_factory: pytest.TempPathFactory) -> SceneStore:
    """Decoded scenes."""
    return SceneStore(tmp_path_factory.mktemp("cache"), Radiometry.parse(yolov3u.data.radiometry))
