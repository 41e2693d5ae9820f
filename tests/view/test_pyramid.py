"""Tiles and what they show."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from osm.view.pyramid import TILE_PX, Pyramid, box_mean


def mean_by_hand(pixels, factor):
    """The scene with a border of nothing, and the mean of what there is in each square."""
    height, width = (-(-extent // factor) for extent in pixels.shape[:2])
    whole = np.full((height * factor, width * factor, *pixels.shape[2:]), np.nan)
    whole[: pixels.shape[0], : pixels.shape[1]] = pixels
    squares = whole.reshape(height, factor, width, factor, *pixels.shape[2:])
    return np.rint(np.nanmean(squares, axis=(1, 3))).astype(np.uint8)


@given(st.integers(1, 100_000), st.integers(1, 100_000), st.data())
def test_a_tile_lies_within_the_scene_or_is_not_there(width, height, data):
    pyramid = Pyramid(width, height)
    level = data.draw(st.integers(-1, 12))
    column, row = data.draw(st.integers(-2, 500)), data.draw(st.integers(-2, 500))
    window = pyramid.window(level, column, row)
    columns, rows = pyramid.size(max(level, 0))
    there = 0 <= level < pyramid.levels and 0 <= column * TILE_PX < columns and 0 <= row * TILE_PX < rows
    assert (window is not None) == there
    if window is not None:
        x1, y1, x2, y2 = window
        assert 0 <= x1 < x2 <= width
        assert 0 <= y1 < y2 <= height
        assert max(x2 - x1, y2 - y1) <= TILE_PX << level


@pytest.mark.parametrize(("extent", "levels"), [(1, 1), (256, 1), (257, 2), (512, 2), (513, 3), (30_000, 8)])
def test_the_highest_level_is_one_tile(extent, levels):
    pyramid = Pyramid(extent, 10)
    assert pyramid.levels == levels
    assert pyramid.window(levels - 1, 0, 0) == (0, 0, extent, 10)
    assert pyramid.window(levels - 1, 1, 0) is None


@given(st.integers(1, 40), st.integers(1, 40), st.sampled_from([1, 2, 3, 4, 8, 64, 256]), st.sampled_from([0, 3]))
def test_the_mean_is_that_of_each_square(height, width, factor, bands):
    shape = (height, width, bands) if bands else (height, width)
    pixels = np.random.default_rng(height * width).integers(0, 256, shape).astype(np.uint8)
    np.testing.assert_array_equal(box_mean(pixels, factor), mean_by_hand(pixels, factor))


def test_the_mean_of_a_white_square_is_white():
    # 256 rows of 255 are what 16 bits just hold
    assert box_mean(np.full((256, 256), 255, np.uint8), 256).tolist() == [[255]]


def test_weights_say_how_much_a_pixel_stands_for():
    pixels = np.array([[10, 40], [70, 200]], dtype=np.uint8)
    mean = box_mean(pixels, 2, row_weights=np.array([3, 1]), column_weights=np.array([1, 0.5]))
    assert mean.tolist() == [[round((3 * 10 + 1.5 * 40 + 70 + 0.5 * 200) / 6)]]
