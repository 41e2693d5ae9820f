"""Scenes as tiles: pixels decoded once, boxes where they belong, choices that nest."""

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from osm.data.radiometry import Radiometry
from osm.data.scenes import Scene, read_scenes
from osm.detection.recipe import DataSettings
from osm.detection.tiles import SceneStore, cut, training_scenes, training_tiles
from osm.errors import DataError


def scene(name="a", boxes=(), ignore=None, size=(256, 256), path=Path("none.png")):
    boxes = np.asarray(boxes, dtype=np.float32).reshape(-1, 4)
    ignore = np.zeros(len(boxes), dtype=bool) if ignore is None else np.asarray(ignore)
    return Scene(name, path, size[0], size[1], boxes, ignore)


SETTINGS = DataSettings(tile_px=128, overlap_px=32)


def test_a_ship_cut_by_a_tile_is_ignored_there_and_counted_where_it_is_whole():
    # tiles start at 0, 96 and 128; the box from 90 to 126 is whole in the first and cut in the second
    tiles = cut([scene(boxes=[[90, 10, 126, 30]])], SETTINGS)
    shown = {tuple(tile.window[:2].tolist()): tile for tile in tiles if len(tile.boxes)}
    assert not shown[0, 0].ignore[0]
    assert shown[96, 0].ignore.tolist() == [False]  # 30 of 36 px are visible
    assert shown[96, 0].boxes.tolist() == [[0, 10, 30, 30]]
    nearly_out = cut([scene(boxes=[[70, 10, 106, 30]])], SETTINGS)
    second = next(tile for tile in nearly_out if tuple(tile.window[:2]) == (96, 0))
    assert second.ignore.tolist() == [True]  # 10 of 36 px


def test_difficult_boxes_stay_ignored_in_tiles():
    tiles = cut([scene(boxes=[[10, 10, 30, 30]], ignore=[True])], SETTINGS)
    assert all(tile.ignore.all() for tile in tiles)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 220), st.integers(0, 220), st.integers(4, 30), st.integers(4, 30)), min_size=1)
)
def test_every_ship_no_larger_than_the_overlap_is_whole_in_some_tile(corners):
    boxes = [[x, y, x + w, y + h] for x, y, w, h in corners]
    whole = set()
    for tile in cut([scene(boxes=boxes)], SETTINGS):
        for box in tile.boxes[~tile.ignore]:
            whole.add(tuple((box + np.tile(tile.window[:2], 2)).tolist()))
    assert {tuple(float(v) for v in box) for box in boxes} <= whole


def test_training_tiles_are_those_with_ships_and_the_stated_share_of_empty_ones():
    scenes = [scene("a", [[10, 10, 30, 30]]), scene("b", size=(1024, 128))]
    plain = training_tiles(scenes, DataSettings(tile_px=128, overlap_px=32, empty_fraction=0))
    assert all(not tile.ignore.all() and len(tile.boxes) for tile in plain)
    more = training_tiles(scenes, DataSettings(tile_px=128, overlap_px=32, empty_fraction=3.0))
    assert len(more) == len(plain) * 4
    again = training_tiles(scenes, DataSettings(tile_px=128, overlap_px=32, empty_fraction=3.0))
    assert [tile.window.tolist() for tile in more] == [tile.window.tolist() for tile in again]


@given(st.integers(0, 3), st.integers(1, 90))
def test_at_most_so_many_tiles_are_a_choice_of_all_that_the_seed_decides(seed, most):
    scenes = [scene("a", [[10, 10, 30, 30]]), scene("b", [[600, 60, 640, 90]], size=(1024, 512))]
    every = DataSettings(tile_px=128, overlap_px=32, empty_fraction=3.0, subset_seed=seed)
    some = DataSettings(tile_px=128, overlap_px=32, empty_fraction=3.0, subset_seed=seed, max_tiles=most)
    known = [(tile.scene.scene_id, *tile.window.tolist()) for tile in training_tiles(scenes, every)]
    chosen = [(tile.scene.scene_id, *tile.window.tolist()) for tile in training_tiles(scenes, some)]
    assert len(chosen) == min(most, len(known))
    assert [one for one in known if one in set(chosen)] == chosen
    assert [(t.scene.scene_id, *t.window.tolist()) for t in training_tiles(scenes, some)] == chosen


def test_scenes_without_ships_cannot_be_trained_on():
    with pytest.raises(DataError, match="without a ship"):
        training_tiles([scene()], SETTINGS)


@given(st.integers(1, 60), st.floats(0.01, 1), st.floats(0.01, 1), st.integers(0, 3))
def test_smaller_fractions_are_subsets_of_larger_ones(count, one, other, seed):
    scenes = [scene(str(i)) for i in range(count)]
    small, large = ({s.scene_id for s in training_scenes(scenes, part, seed)} for part in sorted((one, other)))
    assert 1 <= len(small) <= len(large)
    assert small <= large


def test_pixels_are_decoded_once_and_again_when_the_image_changes(tmp_path):
    path = tmp_path / "s.png"
    Image.fromarray(np.full((64, 96), 7, dtype=np.uint8)).save(path)
    own = scene(size=(96, 64), path=path)
    store = SceneStore(tmp_path / "cache", Radiometry.parse("none"))
    assert store.pixels(own).shape == (64, 96)
    assert int(store.pixels(own)[0, 0]) == 7
    assert len(list((tmp_path / "cache").iterdir())) == 1
    Image.fromarray(np.full((64, 96), 9, dtype=np.uint8)).save(path)
    os.utime(path, ns=(1, 1))
    assert int(store.pixels(own)[0, 0]) == 9


def test_an_image_that_changed_size_since_it_was_listed_is_named(tmp_path):
    path = tmp_path / "s.png"
    Image.fromarray(np.zeros((64, 64), dtype=np.uint8)).save(path)
    store = SceneStore(tmp_path / "cache", Radiometry.parse("none"))
    with pytest.raises(DataError, match=r"s\.png: found 64×64 pixels; expected 96×64"):
        store.pixels(scene(size=(96, 64), path=path))
    assert not list(tmp_path.glob("cache/*"))


def test_simulated_scenes_keep_their_pixels(scenes_root, tmp_path):
    one = read_scenes("air-sarship-1.0", scenes_root, "test")[0]
    radiometry = Radiometry.parse("percentile:0.5,99.5")
    pixels = SceneStore(tmp_path, radiometry).pixels(one)
    from osm.data.images import read_image

    assert np.array_equal(pixels, radiometry.apply(read_image(one.image_path)))
