from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from osm.matching.inspection.cells import BLOCK_PX, draw_places, take_cells

SIDES = st.integers(1, 9).map(lambda blocks: BLOCK_PX * blocks)


@given(SIDES, SIDES, st.integers(1, 100), st.integers(0, 1000))
def test_every_place_is_in_the_tile_and_in_a_block_of_its_own(height, width, count, seed):
    places = draw_places(height, width, count, np.random.default_rng(seed))
    assert len(places) == min(count, height * width // BLOCK_PX**2)
    assert (places >= 0).all()
    assert (places < 1).all()
    blocks = {tuple(block) for block in np.floor(places * (height, width) / BLOCK_PX).astype(int).tolist()}
    assert len(blocks) == len(places)


def test_the_seed_decides():
    first, again, other = (draw_places(256, 192, 9, np.random.default_rng(seed)) for seed in (4, 4, 5))
    assert (first == again).all()
    assert (first != other).any()


@pytest.mark.parametrize("stride", [2, 4, 8, 16, 32])
def test_the_cells_of_all_stages_stand_on_the_same_places(stride):
    height, width = 96, 160
    places = draw_places(height, width, 100, np.random.default_rng(0))
    # a map whose two channels are the row and the column of its own cells, in pixels of the tile
    own = np.stack(np.mgrid[0 : height // stride, 0 : width // stride]).astype(np.float32) * stride
    cells = take_cells(own, places)
    assert cells.shape == (15, 2)
    offset = places * (height, width) - cells
    assert (offset >= 0).all()
    assert (offset < stride).all()


def test_a_tile_that_is_no_multiple_of_a_block_is_refused():
    with pytest.raises(ValueError, match="multiples of 32"):
        draw_places(64, 70, 3, np.random.default_rng(0))
