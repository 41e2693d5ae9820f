"""Tiles as files: what ultralytics reads is what the other engine is fed."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from osm.detection.dataset import TURNS, TileDataset
from osm.detection.yolov3u.layout import label_line, write_layout

edges = st.tuples(st.integers(0, 500), st.integers(0, 500), st.integers(1, 512), st.integers(1, 512))


@given(edges)
def test_a_label_reads_back_as_the_box(box):
    x1, y1, w, h = box
    box = np.array([x1, y1, min(x1 + w, 512), min(y1 + h, 512)], dtype=np.float32)
    name, cx, cy, width, height = (float(value) for value in label_line(box, 512).split())
    back = 512 * np.array([cx - width / 2, cy - height / 2, cx + width / 2, cy + height / 2])
    assert name == 0
    assert np.abs(back - box).max() < 1e-4


def test_a_label_is_centre_and_size_as_fractions():
    assert label_line(np.array([0, 64, 32, 128], dtype=np.float32), 128) == "0 0.125 0.75 0.25 0.5"


def test_every_tile_has_the_pixels_and_boxes_of_the_other_engine(tiles, store, tmp_path):
    images = write_layout(tmp_path / "yolo", tiles, store, 128)
    ours = TileDataset(tiles, store, 128)
    for number in range(len(tiles)):
        entry = ours[number * TURNS]
        assert np.array_equal(np.asarray(Image.open(images / f"{number:06d}.png")), entry["inputs"][0].numpy())
        lines = (tmp_path / "yolo/labels/train" / f"{number:06d}.txt").read_text().splitlines()
        assert lines == [label_line(box, 128) for box in entry["data_samples"].gt_instances.bboxes.tensor.numpy()]


def test_boxes_that_count_neither_way_and_what_was_there_before_are_left_out(tiles, store, tmp_path):
    stale = tmp_path / "yolo/images/train/999999.png"
    stale.parent.mkdir(parents=True)
    stale.write_bytes(b"")
    shown = next(tile for tile in tiles if len(tile.boxes))
    ignored = dataclasses.replace(shown, ignore=np.ones(len(shown.boxes), dtype=bool))
    images = write_layout(tmp_path / "yolo", [ignored], store, 128)
    assert [path.name for path in images.iterdir()] == ["000000.png"]
    assert (tmp_path / "yolo/labels/train/000000.txt").read_text() == ""


def test_beyond_the_end_of_a_scene_is_nothing(tiles, store, tmp_path):
    x1, y1, _, _ = tiles[0].window
    small = dataclasses.replace(tiles[0], window=np.array([x1, y1, x1 + 40, y1 + 50]))
    images = write_layout(tmp_path / "yolo", [small], store, 128)
    pixels = np.asarray(Image.open(images / "000000.png"))
    assert pixels.shape == (128, 128)
    assert pixels[:50, :40].any()
    assert not pixels[50:].any()
    assert not pixels[:, 40:].any()


@pytest.mark.parametrize("size", [96, 128])
def test_the_side_is_the_recipes(tiles, store, tmp_path, size):
    x1, y1, _, _ = tiles[0].window
    small = dataclasses.replace(tiles[0], window=np.array([x1, y1, x1 + 64, y1 + 64]))
    images = write_layout(tmp_path / "yolo", [small], store, size)
    assert Image.open(images / "000000.png").size == (size, size)
