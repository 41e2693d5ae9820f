"""Pixels go to the ground and back, by a transform or by control points."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from osm.data.ground import extents, has_place, open_place, place_in, to_ground, to_pixels
from osm.data.raster import RasterInfo
from osm.errors import DataError

pyproj = pytest.importorskip("pyproj", reason="the extra geo is not installed")

NO_POINTS = np.zeros((0, 4))


def header(crs="EPSG:32633", transform=None, gcps=NO_POINTS):
    wkt = pyproj.CRS(crs).to_wkt() if crs else None
    return RasterInfo(Path("a.tif"), 1000, 800, 1, "uint8", None, wkt, transform, np.asarray(gcps, dtype=float), {})


def turned(angle, scale, left, top):
    cos, sin = scale * np.cos(angle), scale * np.sin(angle)
    return np.array([[cos, sin, left], [sin, -cos, top]])


def grid(matrix, side):
    """Control points of a transform."""
    pixels = np.stack(np.meshgrid(np.linspace(0, 1000, side), np.linspace(0, 800, side)), axis=2).reshape(-1, 2)
    return np.hstack([pixels, pixels @ matrix[:, :2].T + matrix[:, 2]])


matrices = st.builds(turned, st.floats(-3.1, 3.1), st.floats(0.5, 50), st.floats(3e5, 7e5), st.floats(5e6, 6e6))
places = st.lists(st.tuples(st.floats(-50, 1050), st.floats(-50, 850)), min_size=1, max_size=5)


@settings(max_examples=50, deadline=None)
@given(matrices, places)
def test_there_and_back_by_a_transform(matrix, pixels):
    info, pixels = header(transform=matrix), np.array(pixels)
    assert to_pixels(info, to_ground(info, pixels)) == pytest.approx(pixels, abs=1e-5)


@settings(max_examples=20, deadline=None)
@given(matrices, places, st.sampled_from([2, 3, 4, 6]))
def test_control_points_of_a_transform_are_that_transform(matrix, pixels, side):
    """Few of them by a polynomial, many by a surface."""
    pixels = np.array(pixels)
    straight, pinned = header(transform=matrix), header(gcps=grid(matrix, side))
    metres = matrix[0, 0] ** 2 + matrix[1, 0] ** 2
    found = to_ground(pinned, pixels)
    assert found == pytest.approx(to_ground(straight, pixels), abs=1e-3 * metres**0.5)
    assert to_pixels(pinned, found) == pytest.approx(pixels, abs=1e-2)


def test_a_transform_wins_over_control_points():
    matrix = turned(0.0, 10, 5e5, 5.8e6)
    info = header(transform=matrix, gcps=grid(turned(1.0, 3, 4e5, 5e6), 3))
    assert to_ground(info, np.array([[2.0, 1.0]])) == pytest.approx(np.array([[5e5 + 20, 5.8e6 - 10]]))


@pytest.mark.parametrize("points", [[[0, 0, 10, 50]], [[c, c, c, c] for c in (0, 9, 20)], [[0, 0, 1, 1]] * 4])
def test_control_points_in_one_line_pin_nothing_down(points):
    for act in (open_place, lambda info: to_pixels(info, np.zeros((1, 2)))):
        with pytest.raises(DataError, match=rf"{len(points)} ground control points that pin nothing down: .* one line"):
            act(header(gcps=points))
    assert not has_place(header(gcps=points))


@pytest.mark.parametrize("side", [2, 3, 4])
@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda points: points * [1, 1, 0, 0], "places lie in one line"),
        (lambda points: points * [1, 1, 1, 0], "places lie in one line"),
        (lambda points: points * [1, 0, 1, 1], "pixels lie in one line"),
        (lambda points: np.vstack([points, [1, 2, np.nan, 4]]), "not finite"),
        (lambda points: np.vstack([points, [1, 2, 3, np.inf]]), "not finite"),
        (lambda points: np.vstack([points, points + np.array([0, 0, 1e6, 0])] * 4), "nothing down"),
    ],
)
def test_control_points_that_contradict_themselves_are_no_place(side, change, why):
    info = header(gcps=change(grid(turned(0.3, 10, 5e5, 5.8e6), side)))
    with pytest.raises(DataError, match=why):
        open_place(info)
    assert not has_place(info)


def test_what_states_no_place_has_none():
    assert open_place(header(crs=None, transform=np.eye(3)[:2])) is None
    assert open_place(header()) is None
    assert not has_place(header())
    assert has_place(header(gcps=grid(np.eye(3)[:2], 2)))


def test_extents_are_metres_on_the_ellipsoid_and_nan_where_nothing_is():
    place = place_in(Path("a"), "EPSG:4326", lambda pixels: pixels * [1, -1])
    # a degree of the equator, and one of the meridian there
    metres, directions = extents(place, np.array([[10.0, -0.5, 11.0, 0.5], [0.0, 100.0, 1.0, 101.0]]))
    assert metres[0] == pytest.approx([111_319.49, 110_574.30], abs=0.05)
    assert directions[0] == pytest.approx([90, 0], abs=1e-3)
    utm = place_in(Path("a"), "EPSG:32633", lambda pixels: pixels * 1e30)
    assert np.isnan(extents(utm, np.array([[1.0, 1.0, 2.0, 2.0]]))[0]).all()


def test_a_system_that_nobody_knows_is_named():
    with pytest.raises(DataError, match=r"a\.tif: found a coordinate system that leads nowhere"):
        place_in(Path("a.tif"), "EPSG:1", lambda pixels: pixels)
