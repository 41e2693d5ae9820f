"""Inshore and offshore by a land mask: scenes and land made here, in three coordinate systems, with known distances."""

import numpy as np
import pytest

pytest.importorskip("pyogrio", reason="the extra geo is not installed")
pytest.importorskip("shapely", reason="the extra geo is not installed")
pytest.importorskip("pyproj", reason="the extra geo is not installed")

import pyproj
import shapely
import tifffile

from osm.data.coast import coast_groups, lonlat_of, ship_centres
from osm.data.land import LandMask
from osm.errors import DataError
from tests.data.test_land import polygon, write_geojson, write_vector

LAND = [[10.0, 54.0], [11.0, 54.0], [11.0, 55.0], [10.0, 55.0], [10.0, 54.0]]
UTM = pyproj.Transformer.from_crs(4326, 32632, always_xy=True)


def write_scene(path, lonlat, epsg=32632, side_px=100, pixel_m=10.0):
    """A GeoTIFF whose upper left corner lies at a place; without a position if there is no place."""
    tags = []
    if lonlat is not None:
        x, y = pyproj.Transformer.from_crs(4326, epsg, always_xy=True).transform(*lonlat)
        keys = [1, 1, 0, 1, 3072, 0, 1, epsg]
        tags = [(33550, "d", 3, [pixel_m, pixel_m, 0.0]), (33922, "d", 6, [0, 0, 0, x, y, 0]), (34735, "H", 8, keys)]
    tifffile.imwrite(path, np.zeros((side_px, side_px), np.uint8), extratags=[(*tag, True) for tag in tags])
    return path


@pytest.fixture
def scenes(tmp_path):
    # 0.01° of longitude are 654 m at 54.5°; of latitude 1,113 m
    return {
        "near": (write_scene(tmp_path / "near.tif", (11.005, 54.5)), [[0.0, 0.0]]),
        "far": (write_scene(tmp_path / "far.tif", (11.2, 54.5)), [[0.0, 0.0], [100.0, 100.0]]),
        "other": (write_scene(tmp_path / "other.tif", (11.005, 54.4), epsg=3395), [[0.0, 0.0]]),
        "nowhere": (write_scene(tmp_path / "nowhere.tif", None), [[0.0, 0.0]]),
    }


def test_scenes_are_grouped_by_their_distance_from_land(scenes, tmp_path):
    found = coast_groups(scenes, write_geojson(tmp_path / "land.geojson", polygon(LAND)))
    assert found.groups == {"near": "inshore", "far": "offshore", "other": "inshore"}
    assert found.unplaced == ("nowhere",)
    _, _, metres = pyproj.Geod(ellps="WGS84").inv(11.005, 54.5, 11.0, 54.5)
    assert found.distance_m["near"] == pytest.approx(metres, rel=2e-3)
    note = found.note("land.geojson")
    assert "within 1,000 m of land, by land.geojson" in note
    assert "1 of 4 scenes carry no position and are in no group." in note


def test_the_system_of_the_mask_does_not_matter(scenes, tmp_path):
    flat = shapely.transform(
        shapely.segmentize(shapely.Polygon(LAND), 0.01), lambda xy: np.column_stack(UTM.transform(xy[:, 0], xy[:, 1]))
    )
    found = coast_groups(scenes, write_vector(tmp_path / "land.gpkg", [flat], "EPSG:32632"))
    assert found.groups == {"near": "inshore", "far": "offshore", "other": "inshore"}


def test_inshore_ends_where_it_is_told_to(scenes, tmp_path):
    land = write_geojson(tmp_path / "land.geojson", polygon(LAND))
    assert set(coast_groups(scenes, land, near_m=100.0).groups.values()) == {"offshore"}
    assert set(coast_groups(scenes, land, near_m=20_000.0).groups.values()) == {"inshore"}


def test_land_of_another_region_is_suspected(scenes, tmp_path):
    land = write_vector(tmp_path / "land.gpkg", [shapely.box(-60, -10, -59, -9)], "EPSG:4326")
    found = coast_groups(scenes, land)
    assert set(found.groups.values()) == {"offshore"}
    assert "is it land of another region?" in found.note("land.gpkg")


def test_places_in_a_scene_are_on_the_globe_where_its_tags_say(tmp_path):
    path = write_scene(tmp_path / "a.tif", (9.0, 0.0))
    # on the central meridian of the zone: 100 pixels of 10 m to the east, by the scale 0.9996 of the projection
    west, east = lonlat_of(path, [[0.0, 0.0], [100.0, 0.0]])
    _, _, metres = pyproj.Geod(ellps="WGS84").inv(*west, *east)
    assert west == pytest.approx([9.0, 0.0], abs=1e-9)
    assert metres == pytest.approx(1000 / 0.9996, rel=1e-6)
    assert lonlat_of(write_scene(tmp_path / "b.tif", None), [[0.0, 0.0]]) is None
    with pytest.raises(DataError, match=r"a coordinate system that leads nowhere .*EPSG:1\b.*name the true one"):
        lonlat_of(rewritten(path, 32632, 1), [[0.0, 0.0]])


def rewritten(path, old, new):
    content = path.read_bytes()
    path.write_bytes(content.replace(np.uint16(old).tobytes(), np.uint16(new).tobytes()))
    return path


def test_a_scene_without_ships_stands_at_its_centre():
    assert ship_centres(np.empty((0, 4)), 30, 20).tolist() == [[15.0, 10.0]]
    assert ship_centres([[0, 0, 4, 2]], 30, 20).tolist() == [[2.0, 1.0]]


def test_scenes_without_any_position_need_no_land(tmp_path):
    found = coast_groups({"a": (write_scene(tmp_path / "a.tif", None), [[0, 0]])}, tmp_path / "none.gpkg")
    assert (found.groups, found.unplaced) == ({}, ("a",))
    assert len(LandMask([])) == 0
