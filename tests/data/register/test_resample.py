from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import map_coordinates

from osm.data.eight_bit import EightBit
from osm.data.radiometry import Radiometry
from osm.data.register.resample import Grid, Resampled, lattice
from osm.data.register.tie_points import TiePoints
from osm.data.register.transform import Matrix
from osm.data.sources import MemorySource


def source(pixels: np.ndarray, missing: np.ndarray | None = None) -> MemorySource:
    gone = np.zeros(pixels.shape[:2], dtype=bool) if missing is None else missing
    return MemorySource(EightBit(pixels, gone, Radiometry("none")))


DRAWING = np.random.default_rng(0)
COLOUR = DRAWING.integers(0, 256, (260, 330, 3), dtype=np.uint8)
TILTED = Matrix(np.array([[1.05, -0.03, 7.3], [0.04, 1.02, -3.6], [2e-5, 1e-5, 1]]), "projective")


def test_coordinates_are_those_of_the_transform() -> None:
    grid, box = Grid(300, 250, 1.5), (37, 21, 290, 240)
    found = lattice(TILTED, box, grid)
    columns, rows = np.meshgrid(np.arange(37, 290) + 0.5, np.arange(21, 240) + 0.5)
    exact = TILTED(np.stack([columns, rows], axis=2).reshape(-1, 2) * 1.5).reshape(found.shape)
    assert np.abs(found - exact).max() < 5e-3
    straight = lattice(Matrix(np.array([[0.5, 0, 3], [0, 2, 1], [0, 0, 1.0]])), box, Grid(300, 250))
    np.testing.assert_allclose(straight, np.stack([columns * 0.5 + 3, rows * 2 + 1], axis=2), atol=1e-9)


def test_it_is_bilinear() -> None:
    laid = Resampled(source(COLOUR), TILTED, Grid(280, 240))
    pixels, missing = laid.read((0, 0, 280, 240))
    columns, rows = np.meshgrid(np.arange(280) + 0.5, np.arange(240) + 0.5)
    places = TILTED(np.stack([columns, rows], axis=2).reshape(-1, 2)).reshape(240, 280, 2) - 0.5
    expected = np.stack(
        [
            map_coordinates(COLOUR[..., band].astype(float), [places[..., 1], places[..., 0]], order=1)
            for band in range(3)
        ],
        axis=2,
    )
    inside = (places >= 0).all(axis=2) & (places[..., 0] <= 329) & (places[..., 1] <= 259)
    assert ((~missing) == inside).mean() > 0.999
    both = ~missing & inside
    off = np.abs(pixels[both].astype(float) - expected[both])
    # a thirty-second of a pixel, on noise from 0 to 255
    assert off.max() <= 255 / 32 + 1
    assert off.mean() < 1.5
    assert (pixels[missing] == 0).all()


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_a_window_is_that_part_of_the_whole(data: st.DataObject) -> None:
    gone = DRAWING.random(COLOUR.shape[:2]) < 0.001
    scale = data.draw(st.sampled_from([1.0, 0.7, 2.3]))
    grid = Grid(int(280 / scale), int(240 / scale), scale)
    laid = Resampled(source(COLOUR, gone), TILTED, grid)
    pixels, missing = laid.read((0, 0, grid.width_px, grid.height_px))
    x1, y1 = data.draw(st.integers(0, grid.width_px - 1)), data.draw(st.integers(0, grid.height_px - 1))
    x2, y2 = data.draw(st.integers(x1 + 1, grid.width_px)), data.draw(st.integers(y1 + 1, grid.height_px))
    part, part_missing = laid.read((x1, y1, x2, y2))
    np.testing.assert_array_equal(part, pixels[y1:y2, x1:x2])
    np.testing.assert_array_equal(part_missing, missing[y1:y2, x1:x2])


def test_the_same_grid_is_passed_on_untouched() -> None:
    pixels, missing = Resampled(source(COLOUR), None, Grid.of((330, 260))).read((5, 6, 40, 50))
    np.testing.assert_array_equal(pixels, COLOUR[6:50, 5:40])
    assert not missing.any()


def test_identity_and_whole_shifts_keep_every_value() -> None:
    shift = Matrix(np.array([[1.0, 0, 4], [0, 1, 9], [0, 0, 1]]))
    pixels, missing = Resampled(source(COLOUR), shift, Grid(330, 260)).read((0, 0, 330, 260))
    np.testing.assert_array_equal(pixels[:251, :326], COLOUR[9:, 4:])
    assert missing[251:].all()
    assert missing[:, 326:].all()
    assert not missing[:251, :326].any()


def test_a_missing_pixel_takes_all_that_it_would_go_into_with_it() -> None:
    gone = np.zeros(COLOUR.shape[:2], dtype=bool)
    gone[100, 120] = True
    half = Matrix(np.array([[1.0, 0, 0.5], [0, 1, 0.5], [0, 0, 1]]))
    _, missing = Resampled(source(COLOUR, gone), half, Grid(300, 250)).read((0, 0, 300, 250))
    assert sorted(map(tuple, np.argwhere(missing))) == [(99, 119), (99, 120), (100, 119), (100, 120)]


def test_smaller_scenes_are_means_and_not_every_other_pixel() -> None:
    laid = Resampled(source(COLOUR), None, Grid.of((330, 260), 2.0))
    pixels, _ = laid.read((0, 0, 165, 130))
    expected = COLOUR.reshape(130, 2, 165, 2, 3).mean(axis=(1, 3))
    assert np.abs(pixels - expected).max() <= 0.51


def test_beside_the_scene_everything_is_missing() -> None:
    away = Matrix(np.array([[1.0, 0, 5000], [0, 1, 0], [0, 0, 1]]))
    pixels, missing = Resampled(source(COLOUR), away, Grid(64, 64)).read((0, 0, 64, 64))
    assert pixels.shape == (64, 64, 3)
    assert missing.all()


def test_it_agrees_with_gdal(tmp_path) -> None:
    rasterio = pytest.importorskip("rasterio", reason="the extra geo is not installed")
    from rasterio.warp import Resampling, reproject
    from scipy.ndimage import gaussian_filter

    from osm.data.raster import Raster
    from osm.data.register.georeference import georeference

    smooth = gaussian_filter(DRAWING.random((400, 400)), 3)
    image = np.uint8(255 * (smooth - smooth.min()) / np.ptp(smooth))
    import pyproj

    x, y = pyproj.Transformer.from_crs(32633, 3857, always_xy=True).transform(500_000, 5_800_000)
    sides = {
        "sar": ("EPSG:32633", rasterio.Affine(20, 0, 500_000, 0, -20, 5_800_000), (160, 150)),
        "optical": ("EPSG:3857", rasterio.Affine(18, 0, x - 300, 0, -18, y + 300), (400, 400)),
    }
    for name, (crs, affine, (height, width)) in sides.items():
        facts = {"driver": "GTiff", "width": width, "height": height, "count": 1, "dtype": "uint8"}
        with rasterio.open(tmp_path / f"{name}.tif", "w", **facts, crs=crs, transform=affine) as file:
            file.write(image[None] if name == "optical" else np.ones((1, height, width), np.uint8))
    infos = []
    for name in sides:
        with Raster(tmp_path / f"{name}.tif") as raster:
            infos.append(raster.info)
    stated = georeference(*infos)
    pixels, missing = Resampled(source(image), stated, Grid(150, 160)).read((0, 0, 150, 160))
    theirs = np.zeros((160, 150), np.uint8)
    reproject(
        image, theirs, src_transform=sides["optical"][1], src_crs=sides["optical"][0], dst_transform=sides["sar"][1],
        dst_crs=sides["sar"][0], resampling=Resampling.bilinear, src_nodata=None,
    )  # fmt: skip
    assert (~missing).mean() > 0.3
    off = np.abs(pixels[~missing].astype(int) - theirs[~missing])
    assert off.max() <= 6
    assert off.mean() < 1


def test_tie_points_of_a_warp_bring_the_image_back() -> None:
    from scipy.ndimage import gaussian_filter

    from osm.data.register.fit import fit_transform

    x, y = np.meshgrid(np.linspace(10, 250, 5), np.linspace(10, 200, 5))
    sar = np.column_stack([x.ravel(), y.ravel()])
    fit = fit_transform(TiePoints.of(sar, TILTED(sar)), "projective", where="x")
    smooth = np.uint8(gaussian_filter(COLOUR[..., 0].astype(float), 2))
    # what an optical sensor would have seen through the inverse
    seen, _ = Resampled(source(smooth), TILTED.inverse(), Grid(330, 260)).read((0, 0, 330, 260))
    back, missing = Resampled(source(seen), fit.transform, Grid(330, 260)).read((0, 0, 330, 260))
    inner = ~missing[40:200, 40:240]
    off = np.abs(back[40:200, 40:240].astype(int) - smooth[40:200, 40:240])[inner]
    assert off.mean() < 1.5
