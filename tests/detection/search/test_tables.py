"""What is written can be read by those who read such files, and says what was found."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import geopandas
import numpy as np
import pytest
import shapely
from pycocotools.coco import COCO

from osm.data.raster import Raster
from osm.detection.search.coco_file import coco_record
from osm.detection.search.place import find_place, measure
from osm.detection.search.ships import Ships, ships_from_json
from osm.detection.search.tables import outlines, write_csv, write_geojson, write_gpkg
from osm.files import write_json
from tests.detection.search.scenes import UTM, rasterio, write

BOXES = np.asarray([[10, 20, 30, 25], [50.5, 60, 54, 90], [0, 0, 9, 9]], np.float32)


def found_in(path: Path, **profile: object) -> tuple[Ships, object]:
    with Raster(write(path, np.zeros((100, 200), np.uint8), **profile)) as raster:
        place = find_place(raster.info)
    centres = (BOXES[:, :2].astype(float) + BOXES[:, 2:]) / 2
    sizes = measure(place, BOXES) if place else (None, None, None)
    ships = Ships(
        path.stem, str(path), 200, 100, BOXES, np.asarray([0.9, 0.5, 0.4], np.float32),
        place.lonlat(centres) if place else None, place.to_ground(centres) if place else None,
        place.crs if place else None, *sizes, "2020-01-02T03:04:05Z" if place else None, "w.onnx", "ab" * 32, "none",
    )  # fmt: skip
    return ships, outlines(ships, place)


def test_geojson_is_read_by_gdal_and_lies_where_the_scene_says(tmp_path: Path) -> None:
    ships, rings = found_in(tmp_path / "a.tif", **UTM)
    write_geojson(tmp_path / "a.geojson", [(ships, rings)])
    frame = geopandas.read_file(tmp_path / "a.geojson")
    assert frame.crs.to_epsg() == 4326
    assert frame.geometry.is_valid.all()
    assert all(shapely.is_ccw(shape.exterior) for shape in frame.geometry)
    in_metres = frame.to_crs(32633)
    np.testing.assert_allclose(in_metres.area, [20 * 5 * 100, 3.5 * 30 * 100, 81 * 100], rtol=1e-3)
    np.testing.assert_allclose(in_metres.centroid.x, ships.projected[:, 0], atol=0.1)
    np.testing.assert_allclose(frame["x"], [500200, 500522.5, 500045], atol=0.01)
    assert frame["acquired"].astype(str)[0].startswith("2020-01-02")
    assert frame["heading_deg"].isna().tolist() == [False, False, True]
    np.testing.assert_allclose(frame["length_m"], [200, 300, 90], rtol=1e-3)


@pytest.mark.parametrize(
    ("crs", "pixel", "upper_left"),
    [
        ("EPSG:4258", 1e-4, (10.0, 50.0)),
        ("+proj=longlat +ellps=bessel +no_defs", 1e-4, (10.0, 50.0)),
        ("+proj=utm +zone=33 +datum=WGS84 +units=km", 0.01, (500.0, 5000.0)),
        ("EPSG:32633", 10.0, (500000.0, 5000000.0)),
    ],
)
def test_coordinates_keep_a_centimetre_in_any_unit(
    tmp_path: Path, crs: str, pixel: float, upper_left: tuple[float, float]
) -> None:
    place = rasterio.Affine(pixel, 0, upper_left[0], 0, -pixel, upper_left[1])
    ships, _ = found_in(tmp_path / "a.tif", crs=crs, transform=place)
    write_csv(tmp_path / "a.csv", [ships])
    with (tmp_path / "a.csv").open() as stream:
        table = list(csv.DictReader(stream))
    written = np.asarray([[float(row["x"]), float(row["y"])] for row in table])
    # a ten-thousandth of a degree is 10 m, as the other pixels are
    np.testing.assert_allclose(written, ships.projected, rtol=0, atol=0.006 * pixel / 10)


def test_a_scene_without_a_place_is_plainly_in_pixels(tmp_path: Path) -> None:
    ships, rings = found_in(tmp_path / "a.tif")
    write_geojson(tmp_path / "a.geojson", [(ships, rings)])
    record = json.loads((tmp_path / "a.geojson").read_text())
    assert "places are in pixels" in record["note"]
    assert [feature["geometry"] for feature in record["features"]] == [None] * 3
    assert record["features"][1]["properties"]["x1_px"] == 50.5
    assert record["features"][1]["properties"]["lon"] is None
    write_gpkg(tmp_path / "a.gpkg", [(ships, rings)])
    frame = geopandas.read_file(tmp_path / "a.gpkg", layer="ships_px")
    assert frame.crs is None or not frame.crs.is_geographic
    np.testing.assert_allclose(frame.geometry.bounds.to_numpy(), BOXES)


def test_nothing_found_is_a_whole_file_too(tmp_path: Path) -> None:
    ships, rings = found_in(tmp_path / "a.tif", **UTM)
    none = ships.only(np.zeros(3, bool))
    write_geojson(tmp_path / "a.geojson", [(none, rings[:0])])
    assert json.loads((tmp_path / "a.geojson").read_text())["features"] == []
    write_gpkg(tmp_path / "a.gpkg", [(none, rings[:0])])
    assert len(geopandas.read_file(tmp_path / "a.gpkg")) == 0
    write_csv(tmp_path / "a.csv", [none])
    assert len((tmp_path / "a.csv").read_text().splitlines()) == 1
    assert coco_record([none])["annotations"] == []


def test_a_ship_on_the_180th_meridian_is_cut_there(tmp_path: Path) -> None:
    affine = rasterio.Affine(1e-3, 0, 179.98, 0, -1e-3, 10)
    ships, rings = found_in(tmp_path / "a.tif", crs="EPSG:4326", transform=affine)
    write_geojson(tmp_path / "a.geojson", [(ships, rings)])
    shapes = geopandas.read_file(tmp_path / "a.geojson").geometry
    assert shapes.geom_type.tolist() == ["MultiPolygon", "Polygon", "Polygon"]
    assert (shapes.bounds[["minx", "maxx"]].abs() <= 180).all(axis=None)
    np.testing.assert_allclose(shapely.area(shapes.to_numpy()), [20e-3 * 5e-3, 3.5e-3 * 30e-3, 81e-6], rtol=1e-4)
    assert all(shapely.is_ccw(part.exterior) for part in shapes[0].geoms)


def test_csv_and_geopackage_have_the_same_rows(tmp_path: Path) -> None:
    ships, rings = found_in(tmp_path / "a.tif", **UTM)
    plain, none = found_in(tmp_path / "b.tif")
    write_csv(tmp_path / "a.csv", [ships, plain])
    with (tmp_path / "a.csv").open(newline="") as stream:
        lines = list(csv.DictReader(stream))
    assert [line["scene"] for line in lines] == ["a"] * 3 + ["b"] * 3
    assert lines[2]["heading_deg"] == lines[3]["lon"] == ""
    write_gpkg(tmp_path / "a.gpkg", [(ships, rings), (plain, none)])
    frame = geopandas.read_file(tmp_path / "a.gpkg", layer="ships")
    assert frame.crs.to_epsg() == 4326
    np.testing.assert_allclose(frame["lat"], [float(line["lat"]) for line in lines[:3]])
    assert len(geopandas.read_file(tmp_path / "a.gpkg", layer="ships_px")) == 3


def test_coco_is_read_by_pycocotools(tmp_path: Path) -> None:
    ships, _ = found_in(tmp_path / "a.tif", **UTM)
    write_json(tmp_path / "a.coco.json", coco_record([ships, replace(ships, scene_id="b", image_path="b.tif")]))
    coco = COCO(tmp_path / "a.coco.json")
    assert [image["file_name"] for image in coco.imgs.values()] == [str(tmp_path / "a.tif"), "b.tif"]
    boxes = [coco.anns[i]["bbox"] for i in coco.getAnnIds(imgIds=2)]
    np.testing.assert_allclose(boxes, np.hstack([BOXES[:, :2], BOXES[:, 2:] - BOXES[:, :2]]))


@pytest.mark.parametrize("profile", [UTM, {}])
def test_ships_survive_json(tmp_path: Path, profile: dict[str, object]) -> None:
    ships, _ = found_in(tmp_path / "a.tif", **profile)
    again = ships_from_json(json.loads(json.dumps(ships.to_json(), allow_nan=False)))
    for name in ("boxes_px", "scores", "lonlat", "heading_deg"):
        first, second = getattr(ships, name), getattr(again, name)
        assert (first is None) == (second is None)
        if first is not None:
            np.testing.assert_array_equal(first, second)
            assert first.dtype == second.dtype
    assert (again.acquired, again.crs, again.width_px) == (ships.acquired, ships.crs, 200)
