"""A comparison small enough to run for real in a test."""

from __future__ import annotations

from pathlib import Path

import pytest

from osm.simulate import simulate_scenes
from osm.transfer.architectures import build_backbone
from osm.transfer.card import Card, InputContract
from osm.transfer.export import export_backbone
from osm.transfer.initialise import initialise


@pytest.fixture(scope="session")
def scenes_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six simulated scenes of 256 px; 5 and 6 are test scenes."""
    root = tmp_path_factory.mktemp("data") / "scenes"
    simulate_scenes(root, count=6, seed=3, width_px=256, height_px=256)
    return root


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Exports of untrained backbones, by architecture."""
    folder = tmp_path_factory.mktemp("weights")
    paths = {}
    for name in ("darknet-narrow", "resnet18"):
        backbone = build_backbone(name)
        initialise(backbone, 9)
        start = {"source": "some.pth", "coverage": 0.8}
        card = Card(name, InputContract.of(name), start=start, data={"simulated": True})
        paths[name] = folder / f"{name}.safetensors"
        export_backbone(paths[name], backbone, card)
    return paths


@pytest.fixture
def config(repo_root: Path, tmp_path: Path) -> Path:
    """A comparison of the narrow YOLOv3 with two seeds."""
    path = tmp_path / "tiny.py"
    path.write_text(
        f"""
title = "Tiny"
detectors = ["{repo_root}/configs/detect/demo_yolov3_narrow.py"]
seeds = [0, 1]
min_coverage = dict(imagenet=0.5)
overrides = {{
    "data.tile_px": 128,
    "data.overlap_px": 32,
    "train.epochs": 1,
    "train.precision": "float32",
    "test.precision": "float32",
}}
"""
    )
    return path
