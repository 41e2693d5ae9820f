from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from osm.data.geotiff import GeoTags, offset_px, read_geotags
from osm.data.raster import Raster
from osm.errors import DataError

IMAGE = np.zeros((20, 30), dtype=np.uint8)


def test_scale_and_tie_point_give_the_transform(tmp_path: Path, write_geotiff: Callable[..., Path]) -> None:
    image = IMAGE.astype(np.int16)
    tags = read_geotags(write_geotiff(tmp_path / "a.tif", image, x_m=1000, y_m=2000, nodata="-9999"))
    np.testing.assert_array_equal(tags.transform, [[10, 0, 1000], [0, -10, 2000]])
    assert tags.epsg == 32610
    assert tags.nodata == -9999


@pytest.mark.parametrize(
    ("stated", "dtype", "found"),
    [
        ("-9999", "uint8", None), ("0.5", "uint16", None), ("nan", "int16", None), ("65536", "uint16", None),
        ("65535", "uint16", 65535), ("-1", "int8", -1), ("0.5", "float32", 0.5), ("0", "uint8", 0),
    ],
)  # fmt: skip
def test_a_value_that_no_pixel_can_have_marks_none(tmp_path, write_geotiff, stated, dtype, found) -> None:
    path = write_geotiff(tmp_path / "a.tif", np.zeros((20, 30), dtype), nodata=stated)
    assert read_geotags(path).nodata == found
    assert Raster(path).info.nodata == found


def test_pixel_is_point_moves_by_half_a_pixel(tmp_path: Path, write_geotiff: Callable[..., Path]) -> None:
    area = read_geotags(write_geotiff(tmp_path / "a.tif", IMAGE))
    point = read_geotags(write_geotiff(tmp_path / "b.tif", IMAGE, point=True))
    assert offset_px(area, point, 30, 20) == pytest.approx(0.5)


def test_a_full_matrix_is_read(tmp_path: Path) -> None:
    matrix = (0.0, 10.0, 0.0, 7.0, -10.0, 0.0, 0.0, 8.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0)
    tifffile.imwrite(tmp_path / "a.tif", IMAGE, extratags=[(34264, "d", 16, matrix, True)])
    np.testing.assert_array_equal(read_geotags(tmp_path / "a.tif").transform, [[0, 10, 7], [-10, 0, 8]])


def test_plain_images_have_no_place(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", IMAGE)
    Image.fromarray(IMAGE).save(tmp_path / "a.png")
    for name in ("a.tif", "a.png"):
        tags = read_geotags(tmp_path / name)
        assert (tags.transform, tags.epsg, tags.nodata) == (None, None, None)
        assert offset_px(tags, tags, 30, 20) is None


def test_a_pixel_without_extent_is_an_error(tmp_path: Path) -> None:
    tags = [(33550, "d", 3, (0.0, 0.0, 0.0), True), (33922, "d", 6, (0.0,) * 6, True)]
    tifffile.imwrite(tmp_path / "a.tif", IMAGE, extratags=tags)
    with pytest.raises(DataError, match=r"a\.tif: found broken GeoTIFF tags"):
        read_geotags(tmp_path / "a.tif")


def test_the_offset_is_that_of_the_worst_corner_in_pixels() -> None:
    first = GeoTags(np.asarray([[10.0, 0, 0], [0, -10.0, 0]]))
    moved = GeoTags(np.asarray([[10.0, 0, 4], [0, -10.0, -3]]))
    stretched = GeoTags(np.asarray([[10.1, 0, 0], [0, -10.0, 0]]))
    assert offset_px(first, moved, 100, 50) == pytest.approx(0.4)
    assert offset_px(first, stretched, 100, 50) == pytest.approx(1.0)


def test_real_geotiffs(shared_data: Path) -> None:
    folder = shared_data / "sentinel-pairs"
    sar, optical = read_geotags(folder / "003_sar.tif"), read_geotags(folder / "003_opt.tif")
    assert sar.epsg == 3395
    assert offset_px(sar, optical, 1024, 1024) == pytest.approx(0, abs=1e-6)
