from __future__ import annotations

import threading
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from osm.data import patch_blocks as module
from osm.data.patch_blocks import in_turn, patch_blocks
from osm.data.patches import CutRule


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 900), st.integers(1, 700), st.integers(8, 90), st.floats(0, 0.8), st.integers(1, 60_000))
def test_blocks_hold_every_patch_once(width: int, height: int, size: int, overlap: float, room: int) -> None:
    rule = CutRule(size, overlap)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "BLOCK_PX", room)
        blocks = patch_blocks(3, (10, 20, 10 + width, 20 + height), rule)
    places = [place for block in blocks for place in block.places]
    rows, columns = range(0, height - size + 1, rule.stride_px), range(0, width - size + 1, rule.stride_px)
    assert sorted(places) == [(20 + row, 10 + column) for row in rows for column in columns]
    for block in blocks:
        x1, y1, x2, y2 = block.box
        assert block.region == 3
        assert all(y1 <= row <= y2 - size and x1 <= column <= x2 - size for row, column in block.places)
        assert len(block.places) == 1 or (x2 - x1) * (y2 - y1) <= max(room, 2 * size * (x2 - x1))


def test_results_keep_their_order() -> None:
    def work(number: int) -> int:
        time.sleep(0.002 * (number % 3))
        return number * number

    assert list(in_turn(work, range(30), 4)) == [number * number for number in range(30)]


def test_nothing_is_begun_after_an_error() -> None:
    begun, lock = [], threading.Lock()

    def work(number: int) -> int:
        with lock:
            begun.append(number)
        if number == 3:
            raise ValueError("broken")
        return number

    with pytest.raises(ValueError, match="broken"):
        list(in_turn(work, range(1000), 2))
    assert len(begun) < 20
