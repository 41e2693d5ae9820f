"""Pixels of scenes, small and large, whole and broken."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from osm.data.radiometry import Radiometry
from osm.errors import DataError, EnvironmentProblem
from osm.view import pixels as module
from osm.view.pixels import ScenePixels
from osm.view.pyramid import TILE_PX
from tests.view.made import picture, write_picture
from tests.view.test_pyramid import mean_by_hand

WIDTH, HEIGHT = 2100, 2077


@pytest.fixture(scope="module")
def rasterio():
    return pytest.importorskip("rasterio", reason="the extra geo is not installed")


def write(rasterio, path, image, **profile):
    bands = image[None] if image.ndim == 2 else np.moveaxis(image, -1, 0)
    facts = {"driver": "GTiff", "width": image.shape[1], "height": image.shape[0], "count": len(bands)}
    # with a place, if any will do: rasterio warns of scenes without
    place = {"crs": "EPSG:32633", "transform": rasterio.Affine(10, 0, 5e5, 0, -10, 58e5)}
    with rasterio.open(path, "w", **facts, **place, dtype=image.dtype, **profile) as file:
        file.write(bands)
    return path


def read_in_parts(monkeypatch):
    """Treat every scene as one that is too large to be read at once."""
    monkeypatch.setattr(module, "WHOLE_PX", 0)
    monkeypatch.setattr(module, "_BATCH_PX", 300 * WIDTH)


@pytest.mark.parametrize("at_once", [True, False])
def test_every_tile_of_every_level_is_the_reduced_scene(rasterio, tmp_path, monkeypatch, at_once):
    image = np.random.default_rng(0).gamma(1, 400, (HEIGHT, WIDTH)).astype(np.uint16)
    path = write(rasterio, tmp_path / "a.tif", image, tiled=True, blockxsize=256, blockysize=256)
    if not at_once:
        read_in_parts(monkeypatch)
    scene = ScenePixels(path, "linear:0,2000", (WIDTH, HEIGHT))
    seen = Radiometry("linear", 0, 2000).apply(image)
    assert scene.pyramid.levels == 5
    for level in range(5):
        reference = mean_by_hand(seen, 1 << level) if level else seen
        columns, rows = scene.pyramid.size(level)
        assert reference.shape == (rows, columns)
        for row in range(0, -(-rows // TILE_PX), 1 + (level == 0) * 3):
            for column in range(0, -(-columns // TILE_PX), 1 + (level == 0) * 3):
                tile = scene.tile(level, column, row)
                y, x = row * TILE_PX, column * TILE_PX
                expected = reference[y : y + TILE_PX, x : x + TILE_PX]
                # means of rounded means
                tolerance = 1 if not at_once and level > module.REDUCED_LEVEL else 0
                assert tile.shape == expected.shape
                assert np.abs(tile.astype(int) - expected).max() <= tolerance
    with pytest.raises(LookupError):
        scene.tile(5, 0, 0)
    assert scene.broken == ""


def test_limits_of_a_large_scene_come_from_a_sample(rasterio, tmp_path, monkeypatch):
    image = np.random.default_rng(1).gamma(1, 400, (HEIGHT, WIDTH)).astype(np.float32)
    path = write(rasterio, tmp_path / "a.tif", image, tiled=True, blockxsize=256, blockysize=256)
    read_in_parts(monkeypatch)
    window = ScenePixels(path, "percentile:1,99", (WIDTH, HEIGHT)).window((900, 1000, 1300, 1200))
    whole = Radiometry.parse("percentile:1,99").apply(image)[1000:1200, 900:1300]
    assert np.abs(window.astype(int) - whole).mean() < 1


@pytest.mark.parametrize("at_once", [True, False])
def test_limits_that_the_record_states_are_used(rasterio, tmp_path, monkeypatch, at_once):
    image = np.random.default_rng(1).gamma(1, 400, (300, 300)).astype(np.float32)
    path = write(rasterio, tmp_path / "a.tif", image)
    if not at_once:
        read_in_parts(monkeypatch)
    scene = ScenePixels(path, "percentile:1,99 (0 at 100, 255 at 600)", (300, 300))
    expected = Radiometry("linear", 100, 600).apply(image)
    np.testing.assert_array_equal(scene.window((10, 20, 60, 40)), expected[20:40, 10:60])
    assert scene.radiometry == "percentile:1,99"


@pytest.mark.parametrize("at_once", [True, False])
def test_colour_stays_and_of_two_polarisations_the_first_is_shown(rasterio, tmp_path, monkeypatch, at_once):
    if not at_once:
        read_in_parts(monkeypatch)
    colour = np.random.default_rng(2).integers(0, 256, (300, 300, 3)).astype(np.uint8)
    scene = ScenePixels(write(rasterio, tmp_path / "rgb.tif", colour), "none", (300, 300))
    np.testing.assert_array_equal(scene.window((10, 20, 60, 40)), colour[20:40, 10:60])
    assert scene.tile(1, 0, 0).shape == (150, 150, 3)
    both = write(rasterio, tmp_path / "vv-vh.tif", colour[:, :, :2])
    scene = ScenePixels(both, "none", (300, 300))
    np.testing.assert_array_equal(scene.window((10, 20, 60, 40)), colour[20:40, 10:60, 0])


def test_a_strip_that_cannot_be_read_stays_black_and_is_named(rasterio, tmp_path, monkeypatch):
    image = np.full((HEIGHT, WIDTH), 200, dtype=np.uint8)
    path = write(rasterio, tmp_path / "a.tif", image, compress="deflate", blockysize=64)
    content = bytearray(path.read_bytes())
    with rasterio.open(path) as file:
        places = sorted(int(file.get_tag_item(f"BLOCK_OFFSET_0_{y}", "TIFF", bidx=1)) for y in range(20, 24))
    for place in places:
        content[place : place + 20] = b"\xff" * 20
    path.write_bytes(content)
    read_in_parts(monkeypatch)
    scene = ScenePixels(path, "none", (WIDTH, HEIGHT))
    overview = scene.tile(4, 0, 0)
    assert "the window" in scene.broken
    assert overview[0, 0] == overview[-1, 0] == 200
    assert overview[21 * 64 // 16, 0] == 0
    np.testing.assert_array_equal(scene.tile(0, 0, 0), np.full((256, 256), 200))
    with pytest.raises(DataError, match="the window"):
        scene.tile(0, 0, 5)


def test_an_image_of_another_size_is_not_the_scene(tmp_path):
    path = write_picture(tmp_path / "a.png", picture(40, 30))
    with pytest.raises(DataError, match=r"40×30 pixels; expected 400×300"):
        ScenePixels(path, "none", (400, 300))


@pytest.mark.parametrize("content", [b"", b"no image", b"\x89PNG\r\n\x1a\n half"])
def test_a_broken_image_is_named(tmp_path, content):
    path = tmp_path / "a.png"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"a\.png"):
        ScenePixels(path, "none", (4, 3))


def test_without_the_extra_geo_small_scenes_are_shown(tmp_path, monkeypatch):
    path = write_picture(tmp_path / "a.png", picture())
    monkeypatch.setitem(sys.modules, "rasterio", None)
    scene = ScenePixels(path, "none", (400, 300))
    np.testing.assert_array_equal(scene.window((0, 0, 400, 300)), picture())
    assert scene.info is None
    monkeypatch.setattr(module, "WHOLE_PX", 100)
    with pytest.raises(EnvironmentProblem, match=r"osm-ssd\[geo\]"):
        ScenePixels(path, "none", (400, 300))
