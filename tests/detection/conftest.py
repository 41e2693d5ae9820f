"""A tiny data set, simulated once a worker, and the smallest detector over it."""

from __future__ import annotations

from pathlib import Path

import pytest

from osm.detection.recipe import Recipe, load_recipe
from osm.simulate import simulate_scenes

TINY = {
    "data.tile_px": 128,
    "data.overlap_px": 32,
    "train.epochs": 1,
    "train.batch_size": 4,
    "train.precision": "float32",
    "test.precision": "float32",
}


@pytest.fixture(scope="session")
def scenes_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six simulated scenes of 256 px; 5 and 6 are test scenes."""
    root = tmp_path_factory.mktemp("data") / "scenes"
    simulate_scenes(root, count=6, seed=3, width_px=256, height_px=256)
    return root


@pytest.fixture(scope="session")
def yolo(repo_root: Path) -> Recipe:
    """The narrow YOLOv3 at its smallest."""
    return load_recipe(repo_root / "configs/detect/demo_yolov3_narrow.py", TINY)


@pytest.fixture(scope="session")
def faster_rcnn(repo_root: Path) -> Recipe:
    """Faster R-CNN R18 at its smallest."""
    few = {"model.train_cfg.rcnn.sampler.num": 32, "model.neck.out_channels": 64, "model.rpn_head.in_channels": 64}
    few |= {"model.rpn_head.feat_channels": 64, "model.roi_head.bbox_roi_extractor.out_channels": 64}
    few |= {"model.roi_head.bbox_head.in_channels": 64, "model.roi_head.bbox_head.fc_out_channels": 64}
    return load_recipe(repo_root / "configs/detect/demo_faster-rcnn_r18.py", {**TINY, **few})


@pytest.fixture(scope="session")
def tiny() -> dict[str, object]:
    """Overrides that make any demo config small."""
    return dict(TINY)


@pytest.fixture(scope="session")
def yolo_two_epochs(repo_root: Path) -> Recipe:
    """The narrow YOLOv3 for two epochs, with a checkpoint after each."""
    settings = {**TINY, "train.epochs": 2, "train.checkpoint_epochs": 1}
    return load_recipe(repo_root / "configs/detect/demo_yolov3_narrow.py", settings)


@pytest.fixture(scope="session")
def faster_rcnn_two_epochs(repo_root: Path) -> Recipe:
    """Likewise Faster R-CNN, of few steps."""
    settings = {**TINY, "train.epochs": 2, "train.checkpoint_epochs": 1, "data.max_tiles": 6, "train.batch_size": 2}
    return load_recipe(repo_root / "configs/detect/demo_faster-rcnn_r18.py", settings)
