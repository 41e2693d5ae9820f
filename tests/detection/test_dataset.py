"""Tiles for mmdet: pixels and boxes turn together, and the order depends on the seed alone."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from osm.data.radiometry import Radiometry
from osm.data.scenes import read_scenes
from osm.detection.dataset import TURNS, TileDataset, TurningSampler, turn_boxes, turn_image
from osm.detection.recipe import DataSettings
from osm.detection.tiles import SceneStore, cut, training_tiles


@given(st.integers(0, TURNS - 1), st.integers(0, 8), st.integers(0, 5), st.integers(1, 4), st.integers(1, 4))
def test_boxes_turn_as_their_pixels_do(turn, x, y, width, height):
    image = np.zeros((9, 12), dtype=np.uint8)
    image[y : y + height, x : x + width] = 1
    turned = turn_image(image, turn)
    box = turn_boxes(np.array([[x, y, x + width, y + height]], dtype=np.float32), turn, 12, 9)[0].astype(int)
    rows, columns = np.nonzero(turned)
    assert box.tolist() == [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]


def test_the_eight_turns_differ():
    image = np.arange(6).reshape(2, 3)
    assert len({turn_image(image, turn).tobytes() + bytes(turn_image(image, turn).shape) for turn in range(8)}) == 8


def test_a_tile_is_its_pixels_in_three_bands_padded_with_no_data(scenes_root, tmp_path):
    scenes = read_scenes("air-sarship-1.0", scenes_root, "train")
    settings = DataSettings(tile_px=320, overlap_px=32)
    store = SceneStore(tmp_path, Radiometry.parse("percentile:0.5,99.5"))
    tiles = cut(scenes, settings)
    item = TileDataset(tiles, store, 320)[0]
    assert tuple(item["inputs"].shape) == (3, 320, 320)
    pixels = item["inputs"].numpy()
    assert (pixels[0] == pixels[1]).all()
    assert np.array_equal(pixels[0, :256, :256], store.pixels(scenes[0]))
    assert not pixels[:, 256:].any()
    sample = item["data_samples"]
    assert sample.img_shape == (256, 256)
    assert len(sample.gt_instances) + len(sample.ignored_instances) == len(scenes[0].boxes)


@pytest.mark.parametrize("augment", [True, False])
def test_each_epoch_has_every_tile_once_in_an_order_of_seed_and_epoch(augment):
    tiles = range(37)
    sampler = TurningSampler(tiles, seed=1, augment=augment)
    first = list(sampler)
    assert sorted(code // TURNS for code in first) == list(range(37))
    assert list(TurningSampler(tiles, seed=1, augment=augment)) == first
    sampler.set_epoch(1)
    assert list(sampler) != first
    assert list(TurningSampler(tiles, seed=2, augment=augment)) != first
    turns = {code % TURNS for code in first}
    assert turns == {0} if not augment else len(turns) > 4


def test_ranks_share_an_epoch_without_losing_a_tile():
    parts = []
    for rank in range(3):
        sampler = TurningSampler(range(10), seed=0, augment=True)
        sampler.rank, sampler.world = rank, 3
        parts.append(list(sampler))
    assert [len(part) for part in parts] == [4, 4, 4]
    assert {code // TURNS for part in parts for code in part} == set(range(10))


def test_training_tiles_feed_the_sampler(scenes_root, tmp_path):
    scenes = read_scenes("air-sarship-1.0", scenes_root, "train")
    settings = DataSettings(tile_px=128, overlap_px=32)
    store = SceneStore(tmp_path, Radiometry.parse("percentile:0.5,99.5"))
    dataset = TileDataset(training_tiles(scenes, settings), store, 128)
    for code in TurningSampler(dataset, seed=0, augment=True):
        sample = dataset[code]["data_samples"]
        boxes = sample.gt_instances.bboxes.tensor.numpy()
        assert ((boxes >= 0) & (boxes <= 128)).all()
        assert (boxes[:, 2:] > boxes[:, :2]).all()
