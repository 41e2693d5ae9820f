from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from osm.simulate.coast import Coast, Cover
from osm.simulate.drawing import Buildings, Roof
from osm.simulate.optical import OpticalView, render_optical
from osm.simulate.ships import Ship

VIEW = OpticalView(
    sun_azimuth_rad=0.0, sun_elevation_deg=45.0, season=0.0, haze=0.0, gain=(1.0, 1.0, 1.0), turbidity=0.0
)
SHAPE = (100, 140)


def plain(cover: Cover, ships=()) -> Coast:
    zero = np.zeros(SHAPE, np.float32)
    table = Buildings(
        np.array([0, 20], np.float32),
        np.zeros(2, np.float32),
        np.array([0, Roof.FLAT], np.uint8),
        np.zeros(2, np.float32),
    )
    shore = zero - 100 if cover == Cover.SEA else zero + 100
    return Coast(np.full(SHAPE, cover, np.uint8), shore, zero.astype(np.int32), table, zero.astype(np.uint8), zero,
                 zero, tuple(ships), 1.0)  # fmt: skip


def render(coast, view=VIEW):
    return render_optical(coast, view, np.random.default_rng(0))


def test_colours_are_those_of_the_cover():
    sea, grass = render(plain(Cover.SEA)), render(plain(Cover.GRASS))
    assert sea.shape == (*SHAPE, 3)
    assert sea.dtype == np.uint8
    assert sea[..., 2].mean() > sea[..., 0].mean() + 20
    assert grass[..., 1].mean() > grass[..., 2].mean() + 20
    dry = render(plain(Cover.GRASS), replace(VIEW, season=1.0))
    assert dry[..., 0].mean() > grass[..., 0].mean() + 20


@pytest.mark.parametrize(("azimuth", "down", "right"), [(0.0, 0, 1), (np.pi / 2, 1, 0), (np.pi, 0, -1)])
def test_shadows_fall_away_from_the_sun(azimuth, down, right):
    coast = plain(Cover.GRASS)
    cover, building = coast.cover.copy(), coast.building.copy()
    building[40:60, 60:80], cover[40:60, 60:80] = 1, Cover.BUILDING
    image = render(replace(coast, cover=cover, building=building), replace(VIEW, sun_azimuth_rad=azimuth)).mean(axis=2)
    lawn = np.median(image)

    def at(distance):  # past the middle of the wall, this far out
        row, column = 50 + down * (10 + distance), 70 + right * (10 + distance)
        return image[row - 2 : row + 3, column - 2 : column + 3].mean()

    # 20 m high under a sun at 45 degrees
    assert at(10) < 0.6 * lawn
    assert at(26) == pytest.approx(lawn, rel=0.1)
    assert at(-30) == pytest.approx(lawn, rel=0.1)


def test_ships_are_painted_where_their_hull_is():
    ship = Ship(70.0, 50.0, 40.0, 10.0, 0.5, True, 3)
    bare, image = render(plain(Cover.SEA)).astype(int), render(plain(Cover.SEA, [ship])).astype(int)
    changed = np.abs(image - bare).max(axis=2) > 12
    hull = ship.hull(*ship.local((0, 0, SHAPE[1], SHAPE[0])))
    assert changed[hull > 0.9].mean() > 0.8
    x1, y1, x2, y2 = ship.extent()
    rows, columns = np.nonzero(changed)
    assert x1 - 8 < columns.min()
    assert columns.max() < x2 + 8
    assert y1 - 8 < rows.min()
    assert rows.max() < y2 + 8


def test_a_ship_under_way_draws_foam_astern():
    ship = Ship(110.0, 50.0, 20.0, 6.0, 0.0, False, 3)
    image = render(plain(Cover.SEA, [ship])).mean(axis=2)
    assert image[48:52, 80:95].mean() > image[10:20, 80:95].mean() + 30
