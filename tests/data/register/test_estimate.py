"""Tie points from the pixels, on a simulated coast whose warp is known."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from osm.data.eight_bit import EightBit
from osm.data.radiometry import Radiometry
from osm.data.register.estimate import SearchRule, estimate_tie_points, false_alarms
from osm.data.register.fit import fit_transform
from osm.data.register.resample import Grid, Resampled
from osm.data.register.structure import likeness, peak, structure
from osm.data.register.tie_points import read_tie_points, write_tie_points
from osm.data.register.transform import Matrix
from osm.data.sources import MemorySource
from osm.errors import DataError
from osm.simulate import optical as optical_side
from osm.simulate import sar as sar_side
from osm.simulate.coast import draw_coast
from osm.simulate.layouts import PAIR_RADIOMETRY
from osm.simulate.view import draw_sar_view

SIDE = 1024
TURN = np.radians(2)
WARP = Matrix(
    np.array(
        [[1.02 * np.cos(TURN), -1.02 * np.sin(TURN), 15], [1.02 * np.sin(TURN), 1.02 * np.cos(TURN), -5], [0, 0, 1]]
    )
)
CHECK = np.stack(np.meshgrid(np.linspace(0, SIDE, 11), np.linspace(0, SIDE, 11)), axis=2).reshape(-1, 2)


def _source(pixels: np.ndarray) -> MemorySource:
    return MemorySource(EightBit(pixels, np.zeros(pixels.shape[:2], dtype=bool), Radiometry("none")))


@pytest.fixture(scope="module")
def sides() -> tuple[MemorySource, MemorySource]:
    return _coast(0, SIDE)


def _coast(seed: int, side: int) -> tuple[MemorySource, MemorySource]:
    """SAR and optical rendering of one coast. It is flat: what is high lies elsewhere in SAR, whoever matches it."""
    rng = np.random.default_rng(seed)
    coast = draw_coast(rng, (side, side), pixel_m=1.0, land_fraction=0.75, ship_count=4, port_count=1)
    flat = replace(coast.buildings, height_m=coast.buildings.height_m * 0)
    coast = replace(coast, relief_m=np.zeros_like(coast.relief_m), buildings=flat)
    colour = optical_side.render_optical(coast, optical_side.draw_view(rng), rng)
    dark = Radiometry.parse(PAIR_RADIOMETRY).apply(sar_side.render_sar(coast, draw_sar_view(rng, 4.0), rng))
    return _source(dark), _source(colour)


@pytest.mark.timeout(900)  # ten seconds of two idle cores
def test_a_known_warp_is_found(sides: tuple[MemorySource, MemorySource]) -> None:
    sar, colour = sides
    seen, _ = Resampled(colour, WARP.inverse(), Grid(SIDE, SIDE)).read((0, 0, SIDE, SIDE))
    rule = SearchRule(points=9)
    points = estimate_tie_points(sar, _source(seen), Matrix(np.eye(3)), where="x", rule=rule)
    fit = fit_transform(points, "affine", where="x", least_share=0.3)
    off = fit.transform(CHECK) - WARP(CHECK)
    assert np.sqrt((off**2).sum(axis=1).mean()) <= 0.5
    assert fit.used.sum() >= 15


def test_two_places_have_nothing_in_common(sides: tuple[MemorySource, MemorySource]) -> None:
    side = 320
    noise = np.random.default_rng(0).integers(0, 255, (side, side, 3), dtype=np.uint8)
    here = _source(sides[0].image.pixels[:side, :side])
    rule = SearchRule(points=5, rotation_deg=0, scale=0)
    with pytest.raises(DataError, match="--tie-points"):
        estimate_tie_points(here, _source(noise), Matrix(np.eye(3)), where="x", rule=rule)


@pytest.mark.timeout(600)
def test_two_coasts_are_not_taken_for_one_in_small_scenes() -> None:
    """Windows of a small scene overlap: one wrong agreement is seen in many of them."""
    coasts = [_coast(seed, 320) for seed in range(1, 5)]
    for (here, _), (_, there) in zip(coasts, coasts[1:] + coasts[:1], strict=True):
        with pytest.raises(DataError, match="--tie-points"):
            estimate_tie_points(here, there, Matrix(np.eye(3)), where="x", rule=SearchRule(rotation_deg=3, scale=0.03))


def test_no_window_is_a_witness_twice(sides: tuple[MemorySource, MemorySource], tmp_path: Path) -> None:
    """Where several places have one window, near the borders of a small scene, it gives one point."""
    side = 448
    here, there = (_source(one.image.pixels[:side, :side]) for one in sides)
    found = estimate_tie_points(here, there, Matrix(np.eye(3)), where="x", rule=SearchRule(rotation_deg=0, scale=0))
    assert len(np.unique(found.sar, axis=0)) == len(found)
    # what is written can be read
    write_tie_points(tmp_path / "points.csv", found)
    assert len(read_tie_points(tmp_path / "points.csv", (side, side), (side, side))) == len(found)


def test_chance_is_told_from_agreement() -> None:
    assert false_alarms(8, 25, 0.05) > 1
    assert false_alarms(30, 100, 0.05) < 1e-4
    assert false_alarms(20, 25, 0.05) < 1e-6


def test_structure_does_not_depend_on_which_side_is_bright() -> None:
    from scipy.ndimage import gaussian_filter

    land = gaussian_filter(np.random.default_rng(0).standard_normal((128, 128)), 4)
    image = np.clip(128 + 50 * land / land.std(), 0, 255).astype(np.uint8)
    known = np.zeros((128, 128), dtype=bool)
    here = structure(np.dstack([image] * 3), known)
    there = structure(np.dstack([255 - image] * 3), known)
    small = tuple(np.ascontiguousarray(scale[20:108, 23:105]) for scale in there)
    column, row, height, _ = peak(likeness(small, here))
    assert (column, row) == pytest.approx((23, 20), abs=0.1)
    assert height > 0.99


def test_a_peak_lies_between_pixels() -> None:
    columns, rows = np.meshgrid(np.arange(30), np.arange(20))
    surface = np.exp(-((columns - 12.3) ** 2 + (rows - 7.8) ** 2) / 40).astype(np.float32)
    column, row, _, prominence = peak(surface)
    assert (column, row) == pytest.approx((12.3, 7.8), abs=0.02)
    assert prominence > 0
