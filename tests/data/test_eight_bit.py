from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from osm.data.eight_bit import ReadRule, read_optical, read_sar
from osm.errors import ConfigError, DataError

DRAWING = np.random.default_rng(0)


def test_eight_bits_stay_as_they_are(tmp_path: Path) -> None:
    grey = DRAWING.integers(0, 255, (8, 9), dtype=np.uint8)
    Image.fromarray(grey).save(tmp_path / "s.png")
    sar = read_sar(tmp_path / "s.png", ReadRule())
    np.testing.assert_array_equal(sar.pixels, grey)
    assert str(sar.radiometry) == "none"
    assert not sar.missing.any()
    panchromatic = read_optical(tmp_path / "s.png", ReadRule())
    np.testing.assert_array_equal(panchromatic.pixels, np.stack([grey] * 3, axis=2))


def test_deeper_sar_is_stretched_between_percentiles(tmp_path: Path) -> None:
    image = np.arange(1, 10_001, dtype=np.uint16).reshape(100, 100)
    tifffile.imwrite(tmp_path / "s.tif", image)
    sar = read_sar(tmp_path / "s.tif", ReadRule())
    assert str(sar.radiometry) == "percentile:0.5,99.5"
    assert sar.pixels[0, 0] == 0
    assert sar.pixels[-1, -1] == 255
    assert read_sar(tmp_path / "s.tif", ReadRule("linear:0,10000")).pixels[-1, -1] == 255


def test_deeper_optical_keeps_its_colours(tmp_path: Path) -> None:
    image = DRAWING.integers(1000, 3000, (50, 50, 3), dtype=np.uint16)
    image[:, :, 0] += 2000
    tifffile.imwrite(tmp_path / "o.tif", image, photometric="rgb")
    optical = read_optical(tmp_path / "o.tif", ReadRule()).pixels
    assert optical.shape == (50, 50, 3)
    assert optical[..., 0].mean() > optical[..., 1].mean() + 80


def test_bands_are_chosen_by_number(tmp_path: Path) -> None:
    bands = np.stack([np.full((6, 7), value, dtype=np.uint8) for value in (10, 20, 30, 40)])
    tifffile.imwrite(tmp_path / "m.tif", bands, photometric="minisblack", planarconfig="separate")
    optical = read_optical(tmp_path / "m.tif", ReadRule(optical_bands=(3, 2, 1)))
    np.testing.assert_array_equal(optical.pixels[0, 0], [30, 20, 10])
    np.testing.assert_array_equal(read_optical(tmp_path / "m.tif", ReadRule()).pixels[0, 0], [10, 20, 30])
    assert (read_sar(tmp_path / "m.tif", ReadRule(sar_band=4)).pixels == 40).all()
    with pytest.raises(DataError, match="4 bands"):
        read_optical(tmp_path / "m.tif", ReadRule(optical_bands=(5, 2, 1)))
    with pytest.raises(DataError, match="4 bands"):
        read_sar(tmp_path / "m.tif", ReadRule(sar_band=0))


def test_fill_is_missing(tmp_path: Path, write_geotiff: Callable[..., Path]) -> None:
    image = DRAWING.random((20, 20)).astype(np.float32) + 1
    image[:3], image[3, 0] = 0, np.nan
    zero = read_sar(write_geotiff(tmp_path / "a.tif", image), ReadRule())
    assert zero.missing.sum() == 61
    assert not zero.pixels[zero.missing].any()
    tagged = read_sar(write_geotiff(tmp_path / "b.tif", image - 5, nodata="-5"), ReadRule())
    assert tagged.missing.sum() == 61
    assert not tagged.pixels[tagged.missing].any()
    stated = read_sar(tmp_path / "a.tif", ReadRule(sar_nodata=-1))
    assert stated.missing.sum() == 1


def test_dark_water_in_8_bits_is_no_fill(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((5, 5), dtype=np.uint8)).save(tmp_path / "s.png")
    assert not read_sar(tmp_path / "s.png", ReadRule()).missing.any()
    assert read_optical(tmp_path / "s.png", ReadRule()).missing.all()


def test_a_radiometry_that_does_not_fit_names_the_scene(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "s.tif", np.ones((5, 5), dtype=np.uint16))
    with pytest.raises(DataError, match="uint16") as caught:
        read_sar(tmp_path / "s.tif", ReadRule(sar_radiometry="none"))
    assert caught.value.where == str(tmp_path / "s.tif")


def test_a_misspelt_radiometry_is_refused_before_anything_is_read() -> None:
    with pytest.raises(ConfigError, match="percentil"):
        ReadRule(optical_radiometry="percentil")
