from __future__ import annotations

import numpy as np
import pytest
import tifffile
from PIL import Image

from osm.errors import ConfigError, DataError
from osm.matching.patch import PatchRule, read_patch

DEEP = np.random.default_rng(0).integers(1, 4000, (40, 60), dtype=np.uint16)


def png(path, array):
    Image.fromarray(array).save(path)
    return path


def test_a_patch_stays_as_it_is(tmp_path):
    pixels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    patch = read_patch(png(tmp_path / "a.png", pixels), "sar", PatchRule(16))
    np.testing.assert_array_equal(patch.pixels, pixels)
    assert patch.note == ""


def test_the_centre_is_cut_from_a_larger_image_and_said(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (20, 31, 3), dtype=np.uint8)
    patch = read_patch(png(tmp_path / "a.png", pixels), "optical", PatchRule(16))
    np.testing.assert_array_equal(patch.pixels, pixels[2:18, 7:23])
    assert patch.note == "the centre 16x16 of 31x20 pixels"


def test_a_grey_optical_image_has_three_bands(tmp_path):
    pixels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    assert read_patch(png(tmp_path / "a.png", pixels), "optical", PatchRule(16)).pixels.shape == (16, 16, 3)


def test_16_bits_are_mapped_over_the_whole_image_before_it_is_cut(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", DEEP)
    patch = read_patch(tmp_path / "a.tif", "sar", PatchRule(16, sar_radiometry="linear:0,4000"))
    np.testing.assert_array_equal(patch.pixels, np.rint(DEEP / 4000 * 255)[12:28, 22:38])
    assert patch.note == "values mapped by linear:0,4000; the centre 16x16 of 60x40 pixels"
    auto = read_patch(tmp_path / "a.tif", "sar", PatchRule(16))
    assert auto.pixels.dtype == np.uint8
    assert auto.note.startswith("values mapped by percentile:0.5,99.5")
    with pytest.raises(DataError, match="uint16"):
        read_patch(tmp_path / "a.tif", "sar", PatchRule(16, sar_radiometry="none"))


@pytest.mark.parametrize("side", [8, 16, 64])
def test_scaling_takes_any_size_and_keeps_the_mean(tmp_path, side):
    pixels = np.random.default_rng(1).integers(100, 140, (side, side + 4), dtype=np.uint8)
    patch = read_patch(png(tmp_path / "a.png", pixels), "sar", PatchRule(16, fit="scale"))
    assert patch.pixels.shape == (16, 16)
    assert patch.pixels.mean() == pytest.approx(pixels[:, 2:-2].mean(), abs=1.5)
    assert f"the centre {side}x{side} of {side + 4}x{side} pixels scaled to 16" in patch.note


def test_an_image_that_is_too_small_is_refused_unless_scaled(tmp_path):
    with pytest.raises(DataError, match=r"12x15 pixels; expected at least 16x16.*--fit scale"):
        read_patch(png(tmp_path / "a.png", np.zeros((15, 12), np.uint8)), "sar", PatchRule(16))


def test_what_cannot_be_meant_is_refused_before_an_image_is_opened():
    with pytest.raises(ConfigError, match="--fit"):
        PatchRule(16, fit="stretch")
    with pytest.raises(ConfigError, match="radiometry"):
        PatchRule(16, sar_radiometry="percent")
