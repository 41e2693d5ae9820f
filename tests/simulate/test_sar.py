from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from osm.simulate.coast import Coast, Cover
from osm.simulate.drawing import Buildings, Roof
from osm.simulate.sar import AMPLITUDE_SCALE, NOISE_FLOOR, backscatter, render_sar
from osm.simulate.ships import Ship
from osm.simulate.view import SarView

VIEW = SarView(
    incidence_deg=45.0,
    look_right=True,
    sea_db=-20.0,
    land_db=0.0,
    looks=1.0,
    swell_px=40.0,
    swell_rad=0.0,
    swell_depth=0.0,
    cover_db=(0.0,) * len(Cover),
)


def plain(cover: Cover, shape=(120, 160), ships=()) -> Coast:
    """A place of one cover, perfectly even."""
    zero = np.zeros(shape, np.float32)
    none = Buildings(np.zeros(1, np.float32), np.zeros(1, np.float32), np.zeros(1, np.uint8), np.zeros(1, np.float32))
    return Coast(np.full(shape, cover, np.uint8), zero, zero.astype(np.int32), none, zero.astype(np.uint8), zero, zero,
                 tuple(ships), 1.0)  # fmt: skip


def with_block(height_m: float, angle_rad: float = 0.0) -> Coast:
    """A lawn with one building of 30 by 40 pixels: columns 80..110, rows 40..80."""
    coast = plain(Cover.GRASS)
    cover, building = coast.cover.copy(), coast.building.copy()
    building[40:80, 80:110] = 1
    cover[40:80, 80:110] = Cover.BUILDING
    table = Buildings(
        np.array([0, height_m], np.float32),
        np.array([0, angle_rad], np.float32),
        np.array([0, Roof.FLAT], np.uint8),
        np.array([0, 0.5], np.float32),
    )
    return replace(coast, cover=cover, building=building, buildings=table)


def test_even_ground_gives_rayleigh_amplitude_of_the_class_level():
    amplitude = render_sar(plain(Cover.GRASS), VIEW, np.random.default_rng(0))
    assert amplitude.dtype == np.uint16
    sigma = 10**-1.15 + NOISE_FLOOR
    expected = stats.rayleigh(scale=AMPLITUDE_SCALE * np.sqrt(sigma / 2))
    assert amplitude.mean() == pytest.approx(expected.mean(), rel=0.02)
    # jittered within the digital number, since rounding makes steps that a continuous test would see
    smooth = amplitude.ravel() + np.random.default_rng(1).uniform(-0.5, 0.5, amplitude.size)
    assert stats.kstest(smooth, expected.cdf).pvalue > 1e-3


def test_looks_reach_the_image():
    amplitude = render_sar(plain(Cover.GRASS), replace(VIEW, looks=6.0), np.random.default_rng(0)).astype(float)
    intensity = amplitude**2
    assert intensity.mean() ** 2 / intensity.var() == pytest.approx(6.0, rel=0.05)


def test_a_tall_building_leans_over_and_casts_a_shadow():
    # at 45 degrees both are as long as the building is high
    sigma = backscatter(with_block(20.0), VIEW, np.random.default_rng(0))
    row, lawn = sigma[60], sigma[10, 10]
    assert row[58] == pytest.approx(lawn, rel=1e-3)
    assert row[60:80].min() > 1.3 * lawn  # facade and ground together
    # the roof went to 60..90; the last pixel of the roof, at 109, shades up to 129
    assert row[90:129] == pytest.approx(NOISE_FLOOR, rel=1e-3)
    assert row[130] == pytest.approx(lawn, rel=1e-3)
    assert sigma[30, 40:140] == pytest.approx(lawn, rel=1e-3)


def test_the_foot_of_the_wall_bounces_twice():
    sigma = backscatter(with_block(20.0), VIEW, np.random.default_rng(0))
    assert (sigma[40:80].argmax(axis=1) == 79).all()
    askew = backscatter(with_block(20.0, np.radians(40)), VIEW, np.random.default_rng(0))
    assert sigma[60, 79] > 5 * askew[60, 79]


def test_the_other_look_side_mirrors_everything():
    coast = with_block(20.0)
    mirrored = replace(coast, cover=coast.cover[:, ::-1], building=coast.building[:, ::-1])
    right = backscatter(coast, VIEW, np.random.default_rng(0))
    left = backscatter(mirrored, replace(VIEW, look_right=False), np.random.default_rng(0))
    np.testing.assert_allclose(right, left[:, ::-1], rtol=1e-4)


def test_steeper_looks_lean_more_and_shadow_less():
    row = backscatter(with_block(20.0), replace(VIEW, incidence_deg=27.0), np.random.default_rng(0))[60]
    lawn = row[5]
    # 20 cot 27 = 39.3 and 20 tan 27 = 10.2
    assert row[41:80].min() > 1.3 * lawn
    assert row[39] == pytest.approx(lawn, rel=1e-3)
    assert row[110:120] == pytest.approx(NOISE_FLOOR, rel=1e-3)
    assert row[122] == pytest.approx(lawn, rel=1e-3)


def test_classes_keep_their_order():
    level = {cover: float(np.median(backscatter(plain(cover), VIEW, np.random.default_rng(0)))) for cover in Cover}
    assert level[Cover.SEA] < level[Cover.ROAD] < level[Cover.QUAY] < level[Cover.GRASS] < level[Cover.FOREST]


def test_woods_reach_the_far_edge():
    sigma = backscatter(plain(Cover.FOREST), VIEW, np.random.default_rng(0))
    assert sigma[:, 20:].min() > 0.05


@pytest.mark.parametrize("length", [12.0, 30.0, 90.0])
def test_ships_outshine_the_sea_with_a_cross(length):
    ship = Ship(80.0, 60.0, length, 0.2 * length + 2, 0.6, True, 5)
    amplitude = render_sar(plain(Cover.SEA, ships=[ship]), VIEW, np.random.default_rng(0)).astype(float)
    x1, y1, x2, y2 = ship.box((120, 160))
    on_ship = ship.hull(*ship.local((0, 0, 160, 120))) > 0.9
    sea = np.median(amplitude[:10, :10])
    assert np.sqrt((amplitude[on_ship] ** 2).mean()) > 5 * sea
    peak = np.unravel_index(amplitude.argmax(), amplitude.shape)
    assert y1 - 2 <= peak[0] < y2 + 2
    assert x1 - 8 <= peak[1] < x2 + 8


def test_wakes_are_dark_astern_of_ships_under_way():
    moored = Ship(120.0, 60.0, 40.0, 8.0, 0.0, True, 5)
    sailing = replace(moored, moored=False)
    still = backscatter(plain(Cover.SEA, ships=[moored]), VIEW, np.random.default_rng(0))
    wake = backscatter(plain(Cover.SEA, ships=[sailing]), VIEW, np.random.default_rng(0))
    assert wake[60, 70:95].mean() < 0.6 * still[60, 70:95].mean()
    np.testing.assert_array_equal(wake[:, 145:], still[:, 145:])


def test_amplitude_saturates_instead_of_wrapping():
    bright = replace(VIEW, land_db=60.0)
    amplitude = render_sar(plain(Cover.FOREST), bright, np.random.default_rng(0))
    assert (amplitude[:, 20:100] == 65535).mean() > 0.9
