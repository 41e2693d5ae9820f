from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from osm.data.boxes import area
from osm.data.tiling import boxes_in_window, tile_grid
from osm.errors import ConfigError

# a busy machine is no failure
quick = settings(deadline=None, max_examples=60)


@st.composite
def grids(draw: st.DrawFn) -> tuple[int, int, int, int]:
    tile_px = draw(st.integers(5, 40))
    return draw(st.integers(1, 120)), draw(st.integers(1, 120)), tile_px, draw(st.integers(0, tile_px - 1))


def test_known_answer() -> None:
    windows = tile_grid(1024, 400, 512, 100)
    np.testing.assert_array_equal(windows, [[0, 0, 512, 400], [412, 0, 924, 400], [512, 0, 1024, 400]])
    assert len(tile_grid(3000, 3000, 500, 0)) == 36


@quick
@given(grids())
def test_every_pixel_is_covered(grid: tuple[int, int, int, int]) -> None:
    width_px, height_px, _, _ = grid
    seen = np.zeros((height_px, width_px), dtype=bool)
    for x1, y1, x2, y2 in tile_grid(*grid):
        assert 0 <= x1 < x2 <= width_px
        assert 0 <= y1 < y2 <= height_px
        seen[y1:y2, x1:x2] = True
    assert seen.all()


@quick
@given(grids())
def test_windows_are_full_size_or_the_extent_of_a_small_scene(grid: tuple[int, int, int, int]) -> None:
    width_px, height_px, tile_px, _ = grid
    windows = tile_grid(*grid)
    assert (windows[:, 2] - windows[:, 0] == min(tile_px, width_px)).all()
    assert (windows[:, 3] - windows[:, 1] == min(tile_px, height_px)).all()
    assert len(np.unique(windows, axis=0)) == len(windows)


@quick
@given(grids())
def test_neighbours_overlap_at_least_as_much_as_asked(grid: tuple[int, int, int, int]) -> None:
    windows, overlap_px = tile_grid(*grid), grid[3]
    for low, high in ((0, 2), (1, 3)):
        starts, ends = np.unique(windows[:, low]), np.unique(windows[:, high])
        assert (ends[:-1] - starts[1:] >= overlap_px).all()


@quick
@given(grids(), st.data())
def test_a_box_not_larger_than_the_overlap_is_whole_in_some_window(
    grid: tuple[int, int, int, int], data: st.DataObject
) -> None:
    width_px, height_px, _, overlap_px = grid
    if overlap_px == 0:
        return
    # eighths of a pixel are exact in every type
    w = data.draw(st.integers(1, 8 * min(overlap_px, width_px))) / 8
    h = data.draw(st.integers(1, 8 * min(overlap_px, height_px))) / 8
    x = data.draw(st.integers(0, int(8 * (width_px - w)))) / 8
    y = data.draw(st.integers(0, int(8 * (height_px - h)))) / 8
    inside = [x1 <= x and y1 <= y and x + w <= x2 and y + h <= y2 for x1, y1, x2, y2 in tile_grid(*grid)]
    assert any(inside)


@pytest.mark.parametrize("grid", [(0, 10, 5, 0), (10, 0, 5, 0), (10, 10, 0, 0), (10, 10, 5, 5), (10, 10, 5, -1)])
def test_impossible_grids_are_refused(grid: tuple[int, int, int, int]) -> None:
    with pytest.raises(ConfigError):
        tile_grid(*grid)


def test_boxes_are_clipped_and_kept_by_their_visible_part() -> None:
    boxes = [[10, 10, 20, 20], [95, 10, 105, 20], [96, 10, 106, 20], [99, 99, 150, 150], [100, 0, 110, 10]]
    local, index = boxes_in_window(boxes, (0, 0, 100, 100), min_visible=0.5)
    np.testing.assert_array_equal(index, [0, 1])
    np.testing.assert_array_equal(local, [[10, 10, 20, 20], [95, 10, 100, 20]])
    _, all_seen = boxes_in_window(boxes, (0, 0, 100, 100), min_visible=0.0)
    np.testing.assert_array_equal(all_seen, [0, 1, 2, 3])


def test_boxes_come_in_coordinates_of_the_window() -> None:
    local, _ = boxes_in_window([[510, 620, 530, 640]], (500, 600, 756, 856))
    np.testing.assert_array_equal(local, [[10, 20, 30, 40]])


@quick
@given(grids(), st.data())
def test_what_a_window_shows_lies_in_it_and_is_visible_enough(
    grid: tuple[int, int, int, int], data: st.DataObject
) -> None:
    width_px, height_px, _, _ = grid
    corners = st.tuples(
        st.integers(0, width_px - 1), st.integers(0, height_px - 1), st.integers(1, 30), st.integers(1, 30)
    )
    raw = data.draw(st.lists(corners, max_size=6))
    boxes = np.asarray([[x, y, min(x + w, width_px), min(y + h, height_px)] for x, y, w, h in raw], dtype=np.float32)
    seen = set()
    for window in tile_grid(*grid):
        local, index = boxes_in_window(boxes, window, 0.5)
        assert (local >= 0).all()
        assert (local[:, 2] <= window[2] - window[0]).all()
        assert (local[:, 3] <= window[3] - window[1]).all()
        assert (area(local) >= 0.5 * area(boxes.reshape(-1, 4)[index]) - 1e-3).all()
        seen |= set(index.tolist())
    small = [i for i, (x1, y1, x2, y2) in enumerate(boxes) if max(x2 - x1, y2 - y1) <= grid[3]]
    assert seen >= set(small)
