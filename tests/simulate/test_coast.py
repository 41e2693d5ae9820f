from __future__ import annotations

import numpy as np
import pytest

from osm.simulate.coast import Cover, draw_coast


def draw(seed=0, shape=(256, 256), ships=6, land=0.5, ports=1):
    return draw_coast(
        np.random.default_rng(seed), shape, pixel_m=1.0, land_fraction=land, ship_count=ships, port_count=ports
    )


@pytest.mark.parametrize("shape", [(64, 64), (256, 400), (331, 257)])
def test_a_coast_has_one_shape(shape):
    coast = draw(shape=shape)
    assert coast.shape == shape
    rasters = (coast.cover, coast.shore_px, coast.building, coast.parcel, coast.texture, coast.relief_m)
    assert {raster.shape for raster in rasters} == {shape}
    assert coast.height_m().shape == shape


@pytest.mark.parametrize("seed", range(8))
def test_everything_stands_where_it_can(seed):
    coast = draw(seed)
    sea = coast.cover == Cover.SEA
    assert ((coast.building > 0) == (coast.cover == Cover.BUILDING)).all()
    assert coast.building.max() < len(coast.buildings.height_m)
    assert coast.ships
    for ship in coast.ships:
        hull = ship.hull(*ship.local((0, 0, 256, 256))) >= 0.5
        assert sea[hull].all()
    assert not coast.height_m()[sea].any()


def test_coasts_have_a_harbour_town_and_country():
    covers = np.concatenate([draw(seed).cover.ravel() for seed in range(12)])
    present = np.bincount(covers, minlength=len(Cover)) / covers.size
    assert (present > 0.003).all(), dict(zip(Cover, present, strict=True))
    ships = [ship for seed in range(12) for ship in draw(seed).ships]
    assert {ship.moored for ship in ships} == {True, False}


@pytest.mark.parametrize("land", [0.2, 0.7])
def test_land_has_its_share(land):
    shares = [(draw(seed, land=land, ports=0).cover != Cover.SEA).mean() for seed in range(4)]
    assert np.mean(shares) == pytest.approx(land, abs=0.05)


def test_seeds_decide():
    first, again, other = draw(1), draw(1), draw(2)
    assert (first.cover == again.cover).all()
    assert first.ships == again.ships
    assert (first.cover != other.cover).mean() > 0.2
