from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from osm.data.build_pairs import build_pairs
from osm.data.pairs import read_pairs
from osm.data.partners import ScenePair
from osm.data.raster import Raster, RasterInfo
from osm.data.register.georeference import georeference, pixel_m
from osm.data.register.plan import AlignRule, prepare
from osm.errors import DataError

rasterio = pytest.importorskip("rasterio", reason="the extra geo is not installed")
pytest.importorskip("pyproj", reason="the extra geo is not installed")

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(name: str, image: np.ndarray[Any, Any], crs: str, x: float, y: float, side: float) -> Path:
        bands = image[None] if image.ndim == 2 else np.moveaxis(image, -1, 0)
        facts = {"driver": "GTiff", "width": image.shape[1], "height": image.shape[0], "count": len(bands)}
        where = rasterio.Affine(side, 0, x, 0, -side, y)
        with rasterio.open(tmp_path / name, "w", **facts, dtype=image.dtype, crs=crs, transform=where) as file:
            file.write(bands)
        return tmp_path / name

    return write


def _info(path: Path) -> RasterInfo:
    with Raster(path) as raster:
        return raster.info


def test_pixels_go_over_the_ground_from_one_system_to_another(write: Write) -> None:
    import pyproj

    flat = np.ones((100, 100), np.uint8)
    sar = _info(write("a.tif", flat, "EPSG:32633", 500_000, 5_800_000, 10))
    lon, lat = pyproj.Transformer.from_crs(32633, 4326, always_xy=True).transform(500_000, 5_800_000)
    optical = _info(write("b.tif", flat, "EPSG:4326", lon - 0.001, lat + 0.001, 0.0001))
    found = georeference(sar, optical)(np.array([[0.0, 0.0], [50, 20]]))
    np.testing.assert_allclose(found[0], [10, 10], atol=1e-6)
    lon, lat = pyproj.Transformer.from_crs(32633, 4326, always_xy=True).transform(500_500, 5_799_800)
    there = np.array(optical.transform)[:, :2] @ found[1] + np.array(optical.transform)[:, 2]
    np.testing.assert_allclose(there, [lon, lat], atol=1e-9)


def test_the_size_of_a_pixel_is_in_metres(write: Write) -> None:
    flat = np.ones((10, 10), np.uint8)
    assert pixel_m(_info(write("a.tif", flat, "EPSG:32633", 500_000, 5_800_000, 2.5))) == pytest.approx(2.5)
    # feet, and degrees at the equator
    assert pixel_m(_info(write("b.tif", flat, "EPSG:2263", 1_000_000, 200_000, 10))) == pytest.approx(3.048, rel=1e-4)
    assert pixel_m(_info(write("c.tif", flat, "EPSG:4326", 0, 0, 0.001))) == pytest.approx(111, rel=0.01)


def test_scenes_of_two_places_are_an_error(write: Write) -> None:
    flat = np.ones((10, 10), np.uint8)
    first = _info(write("a.tif", flat, "EPSG:32633", 500_000, 5_800_000, 10))
    for x in (500_200, 499_800):
        with pytest.raises(DataError, match="no overlap"):
            georeference(first, _info(write("b.tif", flat, "EPSG:32633", x, 5_800_000, 10)))


def test_places_that_do_not_project_are_an_error(write: Write) -> None:
    flat = np.ones((10, 10), np.uint8)
    polar = _info(write("a.tif", flat, "EPSG:4326", 10, -89.0, 0.01))
    # Mercator has no poles: 300 degrees north is nowhere
    nowhere = _info(write("b.tif", flat, "EPSG:4326", 10, 300.0, 0.01))
    mercator = _info(write("c.tif", flat, "EPSG:3395", 0, 0, 10))
    with pytest.raises(DataError, match="do not project"):
        georeference(nowhere, mercator)
    with pytest.raises(DataError, match="no overlap"):
        georeference(polar, mercator)


def test_control_points_do_for_a_transform(write: Write, tmp_path: Path) -> None:
    point = rasterio.control.GroundControlPoint
    gcps = [point(row, col, x=13 + col / 1000, y=52 - row / 1000) for row in (0, 40, 80) for col in (0, 50, 100)]
    with rasterio.open(tmp_path / "a.tif", "w", driver="GTiff", width=100, height=80, count=1, dtype="uint8") as file:
        file.gcps = (gcps, rasterio.CRS.from_epsg(4326))
    optical = _info(write("b.tif", np.ones((80, 100), np.uint8), "EPSG:4326", 12.99, 52.02, 0.002))
    found = georeference(_info(tmp_path / "a.tif"), optical)(np.array([[0.0, 0.0], [60, 30]]))
    np.testing.assert_allclose(found, [[5, 10], [35, 25]], atol=1e-3)


@pytest.mark.parametrize("columns", [[0], [0, 50], [0, 50, 100]])
def test_tie_points_do_where_control_points_pin_nothing_down(write: Write, tmp_path: Path, columns: list[int]) -> None:
    point = rasterio.control.GroundControlPoint
    gcps = [point(0, col, x=13 + col / 1000, y=52) for col in columns]
    with rasterio.open(tmp_path / "a.tif", "w", driver="GTiff", width=100, height=80, count=1, dtype="uint8") as file:
        file.gcps = (gcps, rasterio.CRS.from_epsg(4326))
    optical = write("b.tif", np.ones((80, 100, 3), np.uint8), "EPSG:4326", 12.99, 52.02, 0.002)
    pair = ScenePair("a", tmp_path / "a.tif", optical)
    corners = [(5, 5), (95, 5), (95, 75), (5, 75), (50, 40)]
    rows = [f"{x},{y},{x + 1},{y + 2}" for x, y in corners]
    ties = tmp_path / "ties.csv"
    ties.write_text("\n".join(["sar_col,sar_row,opt_col,opt_row", *rows]) + "\n")
    found = prepare(pair, AlignRule(), ties)
    assert (found.method, found.sar_m) == ("tie points", None)
    assert found.regions[0].transform is not None
    np.testing.assert_allclose(found.regions[0].transform(np.array([[20.0, 30.0]])), [[21, 32]], atol=1e-6)
    assert prepare(pair, AlignRule(method="estimate"), None).method == "estimate"
    with pytest.raises(DataError, match=r"no place on the ground .* in one line"):
        prepare(pair, AlignRule(method="georeference"), None)


def test_georeferenced_pairs_need_no_tie_points(write: Write, tmp_path: Path) -> None:
    from scipy.ndimage import gaussian_filter

    land = gaussian_filter(np.random.default_rng(0).standard_normal((300, 300)), 5)
    image = np.clip(128 + 50 * land / land.std(), 1, 255).astype(np.uint8)
    write("a_sar.tif", image[100:228, 60:188], "EPSG:32633", 500_000 + 600, 5_800_000 - 1000, 10)
    write("a_opt.tif", np.dstack([image] * 3), "EPSG:32633", 500_000 + 4, 5_800_000 - 4, 10)
    report = build_pairs(f"{tmp_path}/*_sar.tif", f"{tmp_path}/*_opt.tif", tmp_path / "out", size_px=64)
    assert report.pairs == 4
    assert report.scene_records[0].registration["method"] == "georeference"
    sar, optical = read_pairs(tmp_path / "out").load(3)
    # four metres of ten off the grid: between two pixels, hence nearly the same
    assert np.abs(sar.astype(int) - optical[..., 1]).mean() < 4
    facts = json.loads((tmp_path / "out" / "report.json").read_text())["scenes"][0]["registration"]
    assert facts["regions"][0]["transform"]["sar_crs"] == "EPSG:32633"


def test_large_scenes_are_read_by_windows_with_the_same_result(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from osm.data import patch_blocks
    from osm.data.register import align

    drawing = np.random.default_rng(3)
    sar = drawing.gamma(2, 300, (200, 260)).astype(np.float32)
    sar[:40, :50] = 0
    optical = drawing.integers(0, 3000, (300, 300, 4), dtype=np.uint16)
    write("a_sar.tif", sar, "EPSG:32633", 500_000, 5_800_000, 10)
    write("a_opt.tif", optical, "EPSG:32633", 499_993, 5_800_011, 11)
    for name in ("whole", "windows"):
        build_pairs(
            f"{tmp_path}/*_sar.tif", f"{tmp_path}/*_opt.tif", tmp_path / name, size_px=32, overlap=0.25,
            max_missing=0.3,
        )  # fmt: skip
        monkeypatch.setattr(align, "HELD_PX", 0)
        monkeypatch.setattr(patch_blocks, "BLOCK_PX", 5000)
    whole, windows = tmp_path / "whole", tmp_path / "windows"
    files = sorted(path.relative_to(whole) for path in whole.rglob("*") if path.is_file())
    assert len(files) > 60
    assert files == sorted(path.relative_to(windows) for path in windows.rglob("*") if path.is_file())
    for path in files:
        assert (whole / path).read_bytes() == (windows / path).read_bytes(), path


def test_a_truncated_scene_is_named_when_it_is_read_by_windows(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from osm.data.register import align

    monkeypatch.setattr(align, "HELD_PX", 0)
    image = np.random.default_rng(0).integers(1, 255, (256, 256), dtype=np.uint8)
    write("a_sar.tif", image, "EPSG:32633", 500_000, 5_800_000, 10)
    path = write("a_opt.tif", np.dstack([image] * 3), "EPSG:32633", 500_004, 5_800_000, 10)
    path.write_bytes(path.read_bytes()[:100_000])
    with pytest.raises(DataError, match="window") as caught:
        build_pairs(f"{tmp_path}/*_sar.tif", f"{tmp_path}/*_opt.tif", tmp_path / "out", size_px=64)
    assert caught.value.where == str(path)
    assert not (tmp_path / "out").exists()
