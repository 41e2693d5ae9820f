"""What is known of test scenes before anything is trained: group, ground size of a pixel, where the ships are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from osm.compare.plan import Plan
from osm.data.coast import ship_centres
from osm.data.groups import find_groups
from osm.data.scenes import Scene, read_scenes


def scene_facts(plan: Plan, data_root: Path) -> dict[str, Any]:
    """Group of each test scene, by the data set's own lists, and ground size of its pixels."""
    groups: dict[str, str] = {}
    pixel_m: dict[str, float] = {}
    for kind, scenes in _test_scenes(plan, data_root):
        listed = find_groups(kind, data_root)
        groups |= {scene.scene_id: listed[scene.scene_id] for scene in scenes if scene.scene_id in listed}
        pixel_m |= {scene.scene_id: scene.pixel_m for scene in scenes if scene.pixel_m is not None}
    return {"groups": groups, "pixel_m": pixel_m}


def ship_places(plan: Plan, data_root: Path) -> dict[str, tuple[Path, Any]]:
    """Image of each test scene and the centres of its ships, for ``osm.compare.groups``."""
    return {
        scene.scene_id: (
            scene.image_path,
            ship_centres(scene.boxes[~scene.ignore], scene.width_px, scene.height_px),
        )
        for _, scenes in _test_scenes(plan, data_root)
        for scene in scenes
    }


def _test_scenes(plan: Plan, data_root: Path) -> list[tuple[str, list[Scene]]]:
    parts = dict.fromkeys((r.data.kind, r.data.test_split, r.data.test_ids) for r in plan.recipes)
    return [(kind, read_scenes(kind, data_root, split, ids)) for kind, split, ids in parts]
