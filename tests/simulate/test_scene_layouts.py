"""Simulated scenes in every layout are what the reader of that layout finds clean."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from osm.data.groups import find_groups
from osm.data.scenes import READERS, read_scenes
from osm.data.verify import verify
from osm.errors import ConfigError
from osm.simulate import simulate_scenes
from osm.simulate.layouts import make_optical_scene, make_scene
from osm.simulate.scene_layouts import LAYOUTS, group_of, usual_side_px


def test_there_is_a_layout_for_every_reader():
    assert LAYOUTS.keys() == READERS.keys()


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_reader_finds_what_was_drawn(tmp_path: Path, layout: str):
    out = tmp_path / "scenes"
    simulate_scenes(out, count=4, seed=2, width_px=300, height_px=256, layout=layout)
    report = verify(layout, out)
    assert report.clean, report.problems
    make = make_optical_scene if LAYOUTS[layout].optical else make_scene
    scenes = read_scenes(layout, out)
    assert len(scenes) == 4
    for number, scene in enumerate(scenes, start=1):
        image, coast = make(2, number, 300, 256)
        tolerance = 1 if layout == "dota" else 0  # corners to a tenth of a pixel, not whole pixels
        np.testing.assert_allclose(scene.boxes, [ship.box((256, 300)) for ship in coast.ships], atol=tolerance)
        assert (scene.width_px, scene.height_px) == (300, 256)
        if layout == "dota":
            np.testing.assert_array_equal(np.asarray(Image.open(scene.image_path)), image)
            assert scene.pixel_m == coast.pixel_m
    parts = ("train", "val") if layout == "dota" else ("train", "test")
    ids = ["4"] if layout == "air-sarship-1.0" else None
    found = [scene.scene_id for part in parts for scene in read_scenes(layout, out, part, ids)]
    assert sorted(found) == sorted(scene.scene_id for scene in scenes)
    assert simulate_scenes(out, count=4, seed=2, width_px=300, height_px=256, layout=layout).reused


def test_groups_are_those_of_the_drawing(tmp_path: Path):
    simulate_scenes(tmp_path / "hrsid", count=5, seed=0, width_px=256, height_px=256, layout="hrsid")
    expected = {f"P{n:04d}": group_of(make_scene(0, n, 256, 256)[1]) for n in range(1, 6)}
    assert find_groups("hrsid", tmp_path / "hrsid") == expected


def test_optical_scenes_are_of_other_places():
    _, above = make_optical_scene(4, 1, 256, 256)
    _, sar = make_scene(4, 1, 256, 256)
    assert not np.array_equal(above.cover, sar.cover)


def test_ships_can_be_seen_from_above():
    """A hull differs from the water around it in its colours."""
    image, coast = make_optical_scene(1, 1, 512, 512)
    contrast = []
    for ship in coast.ships:
        x1, y1, x2, y2 = ship.box((512, 512))
        inside = image[y1:y2, x1:x2].reshape(-1, 3).astype(float)
        around = image[max(0, y1 - 20) : y2 + 20, max(0, x1 - 20) : x2 + 20].reshape(-1, 3).astype(float)
        contrast.append(np.abs(inside.mean(axis=0) - np.median(around, axis=0)).max())
    assert np.median(contrast) > 10


def test_an_unknown_layout_is_named(tmp_path: Path):
    with pytest.raises(ConfigError, match="hrsid or dota"):
        simulate_scenes(tmp_path / "out", count=1, width_px=256, height_px=256, layout="sssd")
    with pytest.raises(ConfigError, match="--layout"):
        usual_side_px("sssd")
