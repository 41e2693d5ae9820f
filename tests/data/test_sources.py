"""Windows read from disk are the parts of what the whole image becomes in memory."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from osm.data import sources
from osm.data.eight_bit import ReadRule, read_optical, read_sar
from osm.data.sources import RasterSource, open_optical, open_sar
from osm.errors import DataError

tifffile = pytest.importorskip("tifffile")

WIDTH, HEIGHT = 50, 40
HOWS = ("auto", "percentile:2,98", "percentile:0,100", "log:1,99", "max", "minmax", "linear:3,180")
TYPES = ("uint8", "int8", "uint16", "int16", "uint32", "int32", "float32", "float64", "complex64")


def write(path: Path, image: np.ndarray, nodata: float | None = None) -> Path:
    tag = [] if nodata is None else [(42113, 2, 0, f"{nodata:g}", True)]
    colour = {"photometric": "rgb", "planarconfig": "contig"} if image.ndim == 3 and image.shape[2] == 3 else {}
    tifffile.imwrite(path, image, extratags=tag, **colour)
    return path


def draw(rng: np.random.Generator, dtype: str, depth: int) -> np.ndarray:
    image = rng.gamma(1.0, 40.0, (HEIGHT, WIDTH, depth))
    image[: rng.integers(0, 12), : rng.integers(0, WIDTH)] = 0
    if dtype.startswith("complex"):
        return (image * np.exp(1j * rng.uniform(0, 7, image.shape))).astype(dtype)
    if dtype.endswith("int8"):
        image = image.clip(0, np.iinfo(dtype).max)
    if dtype.startswith(("int", "float")) and rng.random() < 0.5:
        image[rng.integers(0, HEIGHT), rng.integers(0, WIDTH)] = -3  # one alone, in any stripe
    if dtype.startswith("float") and rng.random() < 0.5:
        image[:, :5] = rng.choice([np.nan, np.inf, -np.inf, -0.0])
    return image.astype(dtype)


def assert_windows_are_parts(source: RasterSource, whole) -> None:
    for box in ((0, 0, WIDTH, HEIGHT), (0, 0, 7, 9), (20, 13, 50, 40), (3, 39, 4, 40)):
        pixels, missing = source.read(box)
        part = (slice(box[1], box[3]), slice(box[0], box[2]))
        np.testing.assert_array_equal(missing, whole.missing[part])
        np.testing.assert_array_equal(pixels, whole.pixels[part])


@pytest.mark.parametrize("dtype", TYPES)
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32 - 1), how=st.sampled_from(HOWS), nodata=st.sampled_from([None, None, 0.0, -3.0]))
def test_a_sar_scene(tmp_path, monkeypatch, dtype, seed, how, nodata) -> None:
    monkeypatch.setattr(sources, "_STRIPE_PX", 6 * WIDTH)
    path = write(tmp_path / "scene.tif", draw(np.random.default_rng(seed), dtype, 1)[:, :, 0], nodata)
    rule = ReadRule(sar_radiometry=how)
    assert_windows_are_parts(open_sar(path, rule), read_sar(path, rule))


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "float32"])
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32 - 1), how=st.sampled_from(HOWS), bands=st.sampled_from([None, (3, 2, 1), (2, 2, 2)]))
def test_an_optical_scene_and_its_choice_of_bands(tmp_path, monkeypatch, dtype, seed, how, bands) -> None:
    monkeypatch.setattr(sources, "_STRIPE_PX", 6 * WIDTH)
    path = write(tmp_path / "scene.tif", draw(np.random.default_rng(seed), dtype, 3))
    rule = ReadRule(optical_radiometry=how, optical_bands=bands)
    assert_windows_are_parts(open_optical(path, rule), read_optical(path, rule))


@pytest.mark.parametrize("band", [1, 3])
def test_one_band_of_a_sar_scene(tmp_path, band) -> None:
    image = draw(np.random.default_rng(1), "uint16", 3)
    path, rule = write(tmp_path / "scene.tif", image), ReadRule(sar_band=band)
    assert_windows_are_parts(open_sar(path, rule), read_sar(path, rule))


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32", "float64"])
def test_three_bands_that_jpeg_made_differ_a_little(tmp_path, dtype) -> None:
    rng = np.random.default_rng(2)
    image = np.repeat(rng.gamma(1.0, 40.0, (HEIGHT, WIDTH, 1)).clip(0, 250), 3, axis=2)
    image[:9, :20, 1] += rng.uniform(0, 3, (9, 20))
    if dtype.startswith("float"):
        image[30:, 40:] = np.nan
    path, rule = write(tmp_path / "scene.tif", image.astype(dtype)), ReadRule(sar_radiometry="max")
    assert_windows_are_parts(open_sar(path, rule), read_sar(path, rule))


def test_a_scene_of_unequal_bands_or_of_another_type_than_its_radiometry_is_refused(tmp_path) -> None:
    unequal = write(tmp_path / "unequal.tif", draw(np.random.default_rng(1), "uint16", 3))
    with pytest.raises(DataError, match="bands"):
        open_sar(unequal, ReadRule())
    with pytest.raises(DataError, match="band"):
        open_sar(unequal, ReadRule(sar_band=4))
    with pytest.raises(DataError, match="uint16"):
        open_optical(unequal, ReadRule(optical_radiometry="none"))


def test_limits_that_are_stated_are_not_looked_for_in_values_that_cannot_be_negative(tmp_path, monkeypatch) -> None:
    path = write(tmp_path / "scene.tif", draw(np.random.default_rng(1), "uint16", 1)[:, :, 0])
    read = []
    monkeypatch.setattr(RasterSource, "stripes", lambda source: read.append(source) or iter(()))
    assert open_sar(path, ReadRule(sar_radiometry="linear:3,180")).limits == (3, 180)
    assert not read
