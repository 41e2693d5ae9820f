"""Places, sizes and directions of what is known."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyproj
import pytest

from osm.data.raster import Raster, RasterInfo
from osm.detection.search.place import acquired, find_place, measure
from osm.errors import DataError
from tests.detection.search.scenes import UTM, rasterio, write


def info_of(path: Path, **profile: object) -> RasterInfo:
    with Raster(write(path, np.zeros((100, 200), np.uint8), **profile)) as raster:
        return raster.info


def test_utm(tmp_path: Path) -> None:
    place = find_place(info_of(tmp_path / "a.tif", **UTM))
    assert place is not None
    assert place.crs == "EPSG:32633"
    np.testing.assert_allclose(place.to_ground(np.asarray([[10.0, 20]])), [[500100, 5799800]])
    ((longitude, latitude),) = place.lonlat([[0, 0]])
    # the northing is the length of the meridian from the equator, by the scale at the central one
    _, _, metres = pyproj.Geod(ellps="WGS84").inv(15, 0, longitude, latitude)
    assert (longitude, metres * 0.9996) == pytest.approx((15, 5_800_000), abs=1e-3)
    length, width, heading = measure(
        place, np.asarray([[10, 20, 30, 25], [10, 20, 12, 50], [10, 20, 20, 21], [0, 0, 9, 9]])
    )
    # within the scale of UTM at its central meridian, 0.9996
    np.testing.assert_allclose(length * 0.9996, [200, 300, 100, 90], rtol=1e-4)
    np.testing.assert_allclose(width * 0.9996, [50, 20, 10, 90], rtol=1e-4)
    np.testing.assert_allclose(heading[:3], [90, 0, 90], atol=0.1)
    assert np.isnan(heading[3])


def test_metres_are_those_of_the_ground_where_mercator_stretches(tmp_path: Path) -> None:
    # 10 m of EPSG:3395 at 60° north are 5 m of the ground
    x, y = pyproj.Transformer.from_crs(4326, 3395, always_xy=True).transform(20, 60)
    affine = rasterio.Affine(10, 0, x, 0, -10, y)
    place = find_place(info_of(tmp_path / "a.tif", crs="EPSG:3395", transform=affine))
    length, width, _ = measure(place, np.asarray([[0, 0, 40, 10]]))
    np.testing.assert_allclose([length[0], width[0]], [200, 50], rtol=0.01)


def test_degrees_are_no_metres(tmp_path: Path) -> None:
    affine = rasterio.Affine(1e-4, 0, 30, 0, -1e-4, 60)
    place = find_place(info_of(tmp_path / "a.tif", crs="EPSG:4326", transform=affine))
    length, width, heading = measure(place, np.asarray([[0, 0, 100, 10], [0, 0, 30, 20]]))
    np.testing.assert_allclose(length, [558, 223], rtol=0.01)
    np.testing.assert_allclose(width, [111, 167], rtol=0.01)
    np.testing.assert_allclose(heading, [90, 0], atol=0.1)


@pytest.mark.parametrize("count", [2, 6])
def test_ground_control_points_in_a_turned_geometry(tmp_path: Path, count: int) -> None:
    # as an ascending pass of Sentinel-1: rows run to the south-east; slightly bent
    def ground(column: np.ndarray, row: np.ndarray) -> np.ndarray:
        bent = 1e-9 * column * row if count > 2 else 0
        return np.stack([10 + 1e-4 * column + 2e-5 * row + bent, 50 + 2e-5 * column - 1e-4 * row], axis=-1)

    steps = [(c, r) for c in np.linspace(0, 200, count) for r in np.linspace(0, 100, count)]
    path = tmp_path / "a.tif"
    gcps = [rasterio.control.GroundControlPoint(r, c, *ground(np.float64(c), np.float64(r))) for c, r in steps]
    with rasterio.open(path, "w", driver="GTiff", width=200, height=100, count=1, dtype="uint8") as file:
        file.gcps = (gcps, rasterio.CRS.from_epsg(4326))
    with Raster(path) as raster:
        place = find_place(raster.info)
    assert place is not None
    pixels = np.asarray([[0, 0], [33.5, 71.25], [200, 100]])
    np.testing.assert_allclose(place.lonlat(pixels), ground(*pixels.T), atol=1e-6)
    _, _, heading = measure(place, np.asarray([[0, 0, 100, 10]]))
    east, north = 100e-4 * np.cos(np.radians(50)), 100 * 2e-5
    np.testing.assert_allclose(heading, np.degrees(np.arctan2(east, north)), atol=0.5)


def test_no_place_and_places_that_lead_nowhere(tmp_path: Path) -> None:
    plain = info_of(tmp_path / "a.tif")
    assert find_place(plain) is None
    assert find_place(replace(plain, transform=np.asarray([[1.0, 0, 0], [0, -1, 0]]))) is None
    utm = info_of(tmp_path / "b.tif", **UTM)
    local = 'LOCAL_CS["yard",UNIT["metre",1]]'
    with pytest.raises(DataError, match=r"leads nowhere.*--no-position"):
        find_place(replace(utm, crs_wkt=local))
    far = np.asarray([[10, 0, 9e9], [0, -10, 9e9]])
    with pytest.raises(DataError, match="corners outside"):
        find_place(replace(utm, transform=far))
    line = np.asarray([[0, 0, 10, 50], [1, 0, 10, 50]], dtype=float)
    with pytest.raises(DataError, match=r"pin nothing down|corners outside"):
        find_place(replace(utm, transform=None, gcps=line))


@pytest.mark.parametrize(
    ("name", "tags", "expected"),
    [
        ("s1a-iw-grd-vv-20200102t054321-20200102t054346-030613-0381f5-001.tiff", {}, "2020-01-02T05:43:21Z"),
        ("S1B_IW_GRDH_1SDV_20190304T101112_20190304T101137_015208_01C72E_4A1F.tif", {}, "2019-03-04T10:11:12Z"),
        ("a.tif", {"TIFFTAG_DATETIME": "2020:05:06 07:08:09"}, "2020-05-06T07:08:09"),
        (
            "a.tif",
            {"ACQUISITION_START_TIME": "2020-05-06T07:08:09.12Z"},
            "2020-05-06T07:08:09Z",
        ),
        ("a.tif", {"TIFFTAG_DATETIME": "yesterday"}, None),
        ("a.tif", {}, None),
    ],
)
def test_time(name: str, tags: dict[str, str], expected: str | None) -> None:
    assert acquired(Path("scenes") / name, tags) == expected


def test_control_points_that_pin_nothing_down_are_told_once(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    line = np.asarray([[10.0 * i, 10.0 * i, 10 + i / 1000, 50 + i / 1000] for i in range(6)])
    info = replace(info_of(tmp_path / "a.tif", **UTM), transform=None, gcps=line)
    with pytest.raises(DataError, match="6 ground control points that pin nothing down"):
        find_place(info)
    # GDAL writes past Python, beside the one line of the error
    assert capfd.readouterr().err == ""
