"""Land: known answers in degrees and in projected files, and what a broken file says."""

import json
from itertools import pairwise

import numpy as np
import pytest

pytest.importorskip("pyogrio", reason="the extra geo is not installed")
pytest.importorskip("shapely", reason="the extra geo is not installed")
pytest.importorskip("pyproj", reason="the extra geo is not installed")

import pyogrio
import pyproj
import shapely
from hypothesis import example, given, settings
from hypothesis import strategies as st

from osm.data.land import LandMask
from osm.errors import DataError

GEOD = pyproj.Geod(ellps="WGS84")
SQUARE = [[10.0, 54.0], [11.0, 54.0], [11.0, 55.0], [10.0, 55.0], [10.0, 54.0]]


def write_geojson(path, *shapes):
    features = [{"type": "Feature", "properties": {}, "geometry": shape} for shape in shapes]
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}), encoding="utf-8")
    return path


def polygon(*rings):
    return {"type": "Polygon", "coordinates": list(rings)}


def write_vector(path, shapes, crs, layer=None):
    geometry = np.array(shapely.to_wkb(np.array(shapes, dtype=object)), dtype=object)
    kind = shapes[0].geom_type
    pyogrio.raw.write(path, geometry, [], [], geometry_type=kind, crs=crs, layer=layer, append=path.exists())
    return path


def by_geodesics(point, ring):
    """Least distance from points laid closely along a ring."""
    corners = []
    for (x1, y1), (x2, y2) in pairwise(ring):
        share = np.linspace(0, 1, 4001)
        corners.append(np.column_stack([x1 + share * (x2 - x1), y1 + share * (y2 - y1)]))
    along = np.concatenate(corners)
    _, _, metres = GEOD.inv(*np.broadcast_to(point, along.shape).T, along[:, 0], along[:, 1])
    return metres.min()


def test_distance_is_that_of_the_geodesic_to_the_nearest_coast(tmp_path):
    mask = LandMask.open(write_geojson(tmp_path / "land.geojson", polygon(SQUARE)))
    points = np.array([[9.9, 54.5], [11.5, 55.5], [10.5, 53.0], [10.5, 54.5], [11.0005, 54.3]])
    expected = [by_geodesics(point, SQUARE) for point in points]
    expected[3] = 0.0
    assert mask.contains(points).tolist() == [False, False, False, True, False]
    np.testing.assert_allclose(mask.distance_m(points), expected, rtol=1e-3, atol=1.0)


def test_nothing_is_near_where_no_land_is_within_reach():
    mask = LandMask([shapely.Polygon(SQUARE)])
    assert np.isinf(mask.distance_m([[40.0, 0.0]])).all()
    assert np.isinf(mask.distance_m([[9.9, 54.5]], at_most_m=1000.0)).all()
    assert LandMask([]).distance_m([[1.0, 2.0]]).tolist() == [np.inf]
    assert LandMask([]).contains(np.empty((0, 2))).shape == (0,)


def test_a_lake_is_no_land():
    lake = [[10.4, 54.4], [10.6, 54.4], [10.6, 54.6], [10.4, 54.6], [10.4, 54.4]]
    mask = LandMask([shapely.Polygon(SQUARE, [lake])])
    point = np.array([[10.5, 54.5]])
    assert not mask.contains(point)[0]
    np.testing.assert_allclose(mask.distance_m(point)[0], by_geodesics(point[0], lake), rtol=1e-3)


def test_the_180th_meridian_parts_nothing():
    mask = LandMask([shapely.box(179.0, -17.0, 180.0, -16.0), shapely.box(180.0, -17.0, 180.5, -16.0)])
    assert mask.contains([[-179.9, -16.5], [180.2, -16.5], [-179.0, -16.5]]).tolist() == [True, True, False]
    east = shapely.box(179.0, -17.0, 179.99, -16.0)
    _, _, expected = GEOD.inv(-179.99, -16.5, 179.99, -16.5)
    np.testing.assert_allclose(LandMask([east]).distance_m([[-179.99, -16.5]]), expected, rtol=1e-3)


@pytest.mark.parametrize("suffix", [".gpkg", ".shp", ".fgb"])
def test_a_projected_file_says_the_same_as_one_in_degrees(tmp_path, suffix):
    utm = pyproj.Transformer.from_crs(4326, 32632, always_xy=True)
    dense = shapely.segmentize(shapely.Polygon(SQUARE), 0.05)
    moved = shapely.transform(dense, lambda xy: np.column_stack(utm.transform(xy[:, 0], xy[:, 1])))
    mask = LandMask.open(write_vector(tmp_path / f"land{suffix}", [moved], "EPSG:32632"))
    points = np.random.default_rng(0).uniform([9.5, 53.5], [11.5, 55.5], (50, 2))
    own = LandMask([shapely.Polygon(SQUARE)])
    np.testing.assert_allclose(mask.distance_m(points), own.distance_m(points), rtol=1e-3, atol=30.0)


def test_of_a_large_file_only_what_is_near_is_read(tmp_path):
    boxes = [shapely.box(x, y, x + 0.5, y + 0.5) for x in range(20) for y in range(50, 60)]
    path = write_vector(tmp_path / "land.gpkg", boxes, "EPSG:4326")
    assert len(LandMask.open(path)) == 200
    part = LandMask.open(path, bounds=(9.9, 53.9, 11.1, 54.6))
    assert 0 < len(part) <= 6
    assert part.contains([[10.2, 54.2]])[0]
    assert len(LandMask.open(path, bounds=(-60.0, 0.0, -59.0, 1.0))) == 0


@settings(max_examples=25, deadline=None)
@given(
    st.floats(-179.9, 179.9),
    st.floats(-75, 75),
    st.integers(3, 300),
    st.integers(0, 2**16),
)
@example(0.0, 0.0, 5, 1398)  # crosses itself
def test_distance_equals_that_to_the_whole_polygon(lon, lat, corners, seed):
    # an island of many corners, whose coast is indexed in pieces, against one distance of one plane geometry
    rng = np.random.default_rng(seed)
    angle = np.sort(rng.uniform(0, 2 * np.pi, corners))
    radius = rng.uniform(0.05, 0.2, corners)
    island = np.column_stack([lon + radius * np.cos(angle), lat + radius * np.sin(angle)])
    mask = LandMask([shapely.Polygon(island)])
    points = np.array([lon, lat]) + rng.uniform(-0.5, 0.5, (8, 2))
    local = pyproj.Transformer.from_crs(
        4326, pyproj.CRS.from_proj4(f"+proj=aeqd +lon_0={lon} +lat_0={lat} +datum=WGS84"), always_xy=True
    )

    def flat(xy):
        return np.column_stack(local.transform(xy[:, 0], xy[:, 1]))

    whole = shapely.transform(shapely.segmentize(shapely.make_valid(shapely.Polygon(island)), 0.01), flat)
    expected = shapely.distance(shapely.points(flat(points)), whole)
    np.testing.assert_allclose(mask.distance_m(points), expected, rtol=1e-3, atol=2.0)


@pytest.mark.parametrize(
    ("make", "found"),
    [
        (lambda folder: folder / "none.gpkg", "no such file"),
        (lambda folder: write_geojson(folder / "a.geojson", {"type": "Point", "coordinates": [1, 2]}), "no polygon"),
        (lambda folder: write_geojson(folder / "b.geojson"), "no shape"),
        (lambda folder: write_vector(folder / "c.shp", [shapely.box(0, 0, 1, 1)], None), "no coordinate system"),
        (lambda folder: two_layers(folder / "d.gpkg"), "2 layers"),
        (lambda folder: text(folder / "e.geojson"), "nothing readable"),
        (lambda folder: write_vector(folder / "f.gpkg", [shapely.box(0, 100, 1, 200)], "EPSG:4326"), "outside of what"),
    ],
)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_file_that_is_no_land_says_so(tmp_path, make, found):
    with pytest.raises(DataError, match=found):
        LandMask.open(make(tmp_path))


def two_layers(path):
    for layer in ("one", "two"):
        write_vector(path, [shapely.box(0, 0, 1, 1)], "EPSG:4326", layer=layer)
    return path


def text(path):
    path.write_text("no land", encoding="utf-8")
    return path


@pytest.mark.parametrize("point", [[0.0, 91.0], [np.nan, 0.0], [0.0, np.inf]])
def test_points_off_the_globe_are_refused(point):
    with pytest.raises(ValueError, match="globe"):
        LandMask([shapely.Polygon(SQUARE)]).distance_m([point])
