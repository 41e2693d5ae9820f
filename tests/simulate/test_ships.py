from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from osm.simulate.ships import LENGTH_RANGE_PX, Berth, Ship, place_ships


def make_ship(x=50.0, y=40.0, length=40.0, beam=8.0, heading=0.0, moored=False):
    return Ship(x, y, length, beam, heading, moored, 7)


ships = st.builds(
    make_ship,
    x=st.floats(20, 80),
    y=st.floats(20, 80),
    length=st.floats(12, 90),
    beam=st.floats(4, 20),
    heading=st.floats(-np.pi, np.pi),
)


def test_a_ship_along_the_axes():
    assert make_ship().extent() == pytest.approx((30, 36, 70, 44))
    assert make_ship(heading=np.pi / 2).extent() == pytest.approx((46, 20, 54, 60))
    assert make_ship(x=50.25).box((100, 100)) == (30, 36, 71, 44)


@given(ship=ships)
def test_the_box_is_that_of_the_rotated_rectangle(ship):
    half_x = abs(ship.length_px / 2 * np.cos(ship.heading_rad)) + abs(ship.beam_px / 2 * np.sin(ship.heading_rad))
    half_y = abs(ship.length_px / 2 * np.sin(ship.heading_rad)) + abs(ship.beam_px / 2 * np.cos(ship.heading_rad))
    expected = (ship.x_px - half_x, ship.y_px - half_y, ship.x_px + half_x, ship.y_px + half_y)
    assert ship.extent() == pytest.approx(expected)


@given(ship=ships)
def test_the_box_holds_the_hull_and_stays_in_the_scene(ship):
    x1, y1, x2, y2 = ship.box((100, 100))
    assert 0 <= x1 < x2 <= 100
    assert 0 <= y1 < y2 <= 100
    hull = ship.hull(*ship.local((0, 0, 100, 100)))
    rows, columns = np.nonzero(hull >= 0.5)
    assert x1 <= columns.min()
    assert columns.max() < x2
    assert y1 <= rows.min()
    assert rows.max() < y2


def test_the_hull_points_to_the_bow():
    hull = make_ship().hull(*make_ship().local((0, 0, 100, 100)))
    assert hull[:, 31].sum() > 2 * hull[:, 68].sum()


def test_the_wake_is_astern():
    track, arms = make_ship().wake(*make_ship().local((0, 0, 100, 100)))
    assert track[40, 10] > 0.5
    assert not track[:, 71:].any()
    assert not arms[:, 71:].any()
    # 20 px behind the stern the arms are 60 tan(19.5 degrees) off the axis
    assert arms[:40, 10].argmax() == pytest.approx(40 - 60 * np.tan(np.radians(19.5)), abs=1)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32), count=st.integers(1, 14), shore=st.integers(30, 200))
def test_placed_ships_float_apart_and_mostly_inside(seed, count, shore):
    sea = np.zeros((256, 300), bool)
    sea[:, shore:] = True
    berth = Berth((float(shore), 20.0), (float(shore), 236.0), (1.0, 0.0))
    placed = place_ships(np.random.default_rng(seed), sea, [berth], count)
    assert len(placed) <= count
    taken = np.zeros(sea.shape, int)
    for ship in placed:
        along, across = ship.local((0, 0, 300, 256))
        inside = (np.abs(along) <= ship.length_px / 2) & (np.abs(across) <= ship.beam_px / 2)
        assert sea[inside].all()
        taken += inside
        assert LENGTH_RANGE_PX[0] <= ship.length_px <= LENGTH_RANGE_PX[1]
        x1, y1, x2, y2 = ship.extent()
        cx1, cy1, cx2, cy2 = max(x1, 0), max(y1, 0), min(x2, 300), min(y2, 256)
        assert (cx2 - cx1) * (cy2 - cy1) >= 0.6 * (x2 - x1) * (y2 - y1)
    assert taken.max(initial=0) <= 1


def test_moored_ships_lie_along_their_berth():
    sea = np.zeros((256, 256), bool)
    sea[:, 60:] = True
    berth = Berth((60.0, 10.0), (60.0, 246.0), (1.0, 0.0))
    placed = place_ships(np.random.default_rng(3), sea, [berth], 6, moored_share=1.0)
    alongside = [ship for ship in placed if abs(np.cos(ship.heading_rad)) < 1e-9]
    assert len(alongside) >= 3
    for ship in alongside:
        assert ship.moored
        assert 60 < ship.extent()[0] < 63


def test_no_water_no_ships():
    assert place_ships(np.random.default_rng(0), np.zeros((64, 64), bool), [], 5) == ()
