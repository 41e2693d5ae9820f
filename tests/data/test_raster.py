"""Windows of scenes on disk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from osm.data.raster import Raster
from osm.errors import DataError

rasterio = pytest.importorskip("rasterio", reason="the extra geo is not installed")
pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")


def write(path: Path, image: np.ndarray[Any, Any], **profile: Any) -> Path:
    bands = image[None] if image.ndim == 2 else np.moveaxis(image, -1, 0)
    facts = {"driver": "GTiff", "width": image.shape[1], "height": image.shape[0], "count": len(bands)}
    with rasterio.open(path, "w", **facts, dtype=image.dtype, **profile) as file:
        file.write(bands)
    return path


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "float32", "complex64"])
def test_a_window_is_that_part_of_the_image(tmp_path: Path, dtype: str) -> None:
    image = np.random.default_rng(0).integers(0, 200, (70, 90)).astype(dtype)
    with Raster(write(tmp_path / "a.tif", image, tiled=True, blockxsize=32, blockysize=32)) as raster:
        assert (raster.info.width_px, raster.info.height_px, raster.info.dtype) == (90, 70, dtype)
        np.testing.assert_array_equal(raster.read((13, 5, 77, 66)), image[5:66, 13:77])


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_window(tmp_path: Path, data: st.DataObject) -> None:
    image = np.arange(40 * 50 * 3, dtype=np.uint16).reshape(40, 50, 3)
    path = tmp_path / "rgb.tif"
    if not path.exists():
        write(path, image)
    x1 = data.draw(st.integers(0, 49))
    y1 = data.draw(st.integers(0, 39))
    x2, y2 = data.draw(st.integers(x1 + 1, 50)), data.draw(st.integers(y1 + 1, 40))
    with Raster(path) as raster:
        np.testing.assert_array_equal(raster.read((x1, y1, x2, y2)), image[y1:y2, x1:x2])
        np.testing.assert_array_equal(raster.read((x1, y1, x2, y2), bands=[3, 1]), image[y1:y2, x1:x2, [2, 0]])


@pytest.mark.parametrize("window", [(0, 0, 0, 5), (-1, 0, 5, 5), (0, 0, 51, 5), (5, 5, 4, 6)])
def test_a_window_outside_is_a_defect_of_the_caller(tmp_path: Path, window: tuple[int, int, int, int]) -> None:
    with (
        Raster(write(tmp_path / "a.tif", np.zeros((40, 50), np.uint8))) as raster,
        pytest.raises(ValueError, match="window"),
    ):
        raster.read(window)


def test_place_and_missing_value_are_read(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.tif",
        np.zeros((40, 50), np.float32),
        crs="EPSG:32633",
        transform=rasterio.Affine(10, 0, 500000, 0, -10, 5800000),
        nodata=-9999,
    )
    with Raster(path) as raster:
        assert raster.info.transform is not None
        np.testing.assert_allclose(raster.info.transform @ [50, 40, 1], [500500, 5799600])
        assert raster.info.nodata == -9999
        assert "UTM zone 33N" in str(raster.info.crs_wkt)


def test_ground_control_points_are_read(tmp_path: Path) -> None:
    point = rasterio.control.GroundControlPoint
    gcps = [point(row, col, x=col / 10, y=60 - row / 10) for row in (0, 40) for col in (0, 50)]
    with rasterio.open(tmp_path / "a.tif", "w", driver="GTiff", width=50, height=40, count=1, dtype="uint16") as file:
        file.gcps = (gcps, rasterio.CRS.from_epsg(4326))
    with Raster(tmp_path / "a.tif") as raster:
        assert raster.info.transform is None
        assert "WGS 84" in str(raster.info.crs_wkt)
        np.testing.assert_allclose(raster.info.gcps[-1], [50, 40, 5, 56])


def test_a_plain_image_has_no_place(tmp_path: Path) -> None:
    from PIL import Image

    Image.fromarray(np.full((40, 50), 7, np.uint8)).save(tmp_path / "a.png")
    with Raster(tmp_path / "a.png") as raster:
        assert (raster.info.transform, raster.info.crs_wkt, len(raster.info.gcps)) == (None, None, 0)
        assert raster.read((0, 0, 50, 40)).min() == 7


def test_a_truncated_scene_names_the_window(tmp_path: Path) -> None:
    image = np.random.default_rng(0).integers(0, 255, (256, 256), dtype=np.uint8)
    path = write(tmp_path / "a.tif", image, tiled=True, blockxsize=64, blockysize=64, compress="deflate")
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with Raster(path) as raster, pytest.raises(DataError, match="the window x 192 to 256, y 192 to 256"):
        raster.read((192, 192, 256, 256))


@pytest.mark.parametrize("content", [b"", b"no scene at all", b"<VRTDataset rasterXSize='1' rasterYSize='1'/>"])
def test_what_is_no_scene_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.tif"
    path.write_bytes(content)
    with pytest.raises(DataError, match="expected a scene"):
        Raster(path)


def test_nothing_is_fetched_from_elsewhere(tmp_path: Path) -> None:
    inner = write(tmp_path / "inner.tif", np.zeros((4, 4), np.uint8))
    import rasterio.shutil

    vrt = tmp_path / "a.vrt"
    with rasterio.open(inner) as file:
        rasterio.shutil.copy(file, vrt, driver="VRT")
    for path in (vrt, Path("/vsizip/vsicurl/a.zip/b.tif")):
        with pytest.raises(DataError):
            Raster(path)


@pytest.mark.parametrize(("content", "found"), [(b"", "an empty file"), (b"<VRTDataset/>", "none of these by its")])
def test_what_is_no_scene_is_named_in_words(tmp_path: Path, content: bytes, found: str) -> None:
    (tmp_path / "a.tif").write_bytes(content)
    with pytest.raises(DataError, match=found):
        Raster(tmp_path / "a.tif")
