"""Places and sizes on the ground."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from osm.data.raster import RasterInfo
from osm.view.ground import on_ground

pyproj = pytest.importorskip("pyproj", reason="the extra geo is not installed")
BOX = np.array([[100.0, 200.0, 120.0, 205.0]])


def header(crs=None, transform=None, gcps=None):
    points = np.zeros((0, 4)) if gcps is None else gcps
    wkt = pyproj.CRS(crs).to_wkt() if crs else None
    return RasterInfo(Path("a.tif"), 1000, 1000, 1, "uint8", None, wkt, transform, points, {})


@pytest.mark.parametrize("crs", ["EPSG:32633", "EPSG:3395", "EPSG:3857"])
def test_metres_are_those_of_the_ground_whatever_the_projection(crs):
    # a place in Norway, where a Mercator metre is half of one
    x, y = pyproj.Transformer.from_crs("EPSG:4326", crs, always_xy=True).transform(15.0, 60.0)
    transform = np.array([[10.0, 0, x - 1100], [0, -10.0, y + 2025]])
    ((lon, lat, across, down),) = on_ground(header(crs, transform), BOX)
    assert (lon, lat) == (pytest.approx(15.0, abs=1e-6), pytest.approx(60.0, abs=1e-6))
    factor = 1.0 if crs == "EPSG:32633" else 0.5
    assert across == pytest.approx(200 * factor, rel=0.005)
    assert down == pytest.approx(50 * factor, rel=0.01)


def test_control_points_place_a_box():
    gcps = np.array([[c, r, 10 + c / 1000, 50 - r / 1000] for c in (0.0, 1000.0) for r in (0.0, 1000.0)])
    ((lon, lat, across, _),) = on_ground(header("EPSG:4326", gcps=gcps), BOX)
    assert (lon, lat) == (pytest.approx(10.110, abs=1e-6), pytest.approx(49.7975, abs=1e-6))
    assert across == pytest.approx(20e-3 * 111_320 * np.cos(np.radians(lat)), rel=0.005)
    assert on_ground(header("EPSG:4326", gcps=gcps), BOX[:0]).shape == (0, 4)


@pytest.mark.parametrize("points", [[[0, 0, 10, 50]], [[c, c, c, c] for c in (0, 9, 20)], [[0, 0, 1, 1]] * 4])
def test_control_points_that_determine_nothing_are_no_place(points):
    assert on_ground(header("EPSG:4326", gcps=np.array(points, dtype=float)), BOX) is None


def test_no_place_is_none_and_what_does_not_project_is_nan():
    assert on_ground(None, BOX) is None
    assert on_ground(header(), BOX) is None
    assert on_ground(header("EPSG:32633"), BOX) is None
    far = np.array([[1e9, 0, 1e30], [0, -1e9, 1e30]])
    assert np.isnan(on_ground(header("EPSG:32633", far), BOX)).all()
    assert on_ground(header("EPSG:32633", np.eye(3)[:2]), np.zeros((0, 4))).shape == (0, 4)
