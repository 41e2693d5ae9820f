"""One radiometry for all windows."""

from __future__ import annotations

import numpy as np
import pytest

from osm.data.radiometry import Radiometry
from osm.view.mapping import Mapping8, read_radiometry

KINDS = ("max", "minmax", "percentile:2,98", "log:1,99", "linear:10,900")


@pytest.mark.parametrize("dtype", ["uint16", "int16", "float32", "complex64"])
@pytest.mark.parametrize("spelling", KINDS)
def test_windows_are_parts_of_the_scene_that_the_radiometry_makes(spelling, dtype):
    rng = np.random.default_rng(0)
    scene = rng.gamma(1.0, 300, (60, 70)).astype(dtype)
    scene[:5] = 0
    if dtype == "float32":
        scene[7, 7] = np.nan
    nodata = None if dtype == "complex64" else float(scene[30, 30].real)
    how = Radiometry.parse(spelling)
    whole = how.apply(scene, nodata=nodata)
    mapping = Mapping8.of(how, scene, nodata)
    window = mapping.apply(scene[3:41, 20:66])
    assert window.dtype == np.uint8
    # logarithms are taken in other precisions
    assert np.abs(window.astype(int) - whole[3:41, 20:66]).max() <= 1
    assert mapping.radiometry == how


@pytest.mark.parametrize("spelling", KINDS[:4])
@pytest.mark.parametrize("value", [0, 7])
def test_a_scene_of_one_value_is_no_error(spelling, value):
    scene = np.full((4, 5), value, dtype=np.float32)
    assert Mapping8.of(Radiometry.parse(spelling), scene, None).apply(scene).shape == (4, 5)


@pytest.mark.parametrize(
    ("spelling", "dtype", "expected", "says"),
    [
        ("none", "uint8", "none", ""),
        ("percentile:1,99 (0 at 12, 255 at 340)", "uint16", "percentile:1,99", ""),
        ("", "uint8", "none", "names no radiometry"),
        ("", "float32", "percentile:0.5,99.5", "names no radiometry"),
        ("none", "uint16", "percentile:0.5,99.5", "not for this image"),
        ("of old", "uint8", "none", "not for this image"),
    ],
)
def test_what_a_record_says_is_taken_as_far_as_it_can_be(spelling, dtype, expected, says):
    asked = read_radiometry(spelling, dtype)
    assert str(asked.radiometry) == expected
    assert says in asked.note
    assert bool(asked.note) == bool(says)
    assert asked.limits == ((12, 340) if "340" in spelling else None)


@pytest.mark.parametrize(
    "rest", ["(0 at 5, 255 at 4)", "(0 at x, 255 at 4)", "(0 at nan, 255 at 4)", "(0 at 1)", "by hand"]
)
def test_limits_that_make_no_sense_are_taken_anew(rest):
    assert read_radiometry(f"log:1,99 {rest}", "float32").limits is None


@pytest.mark.parametrize("spelling", ["percentile:2,98", "log:2,98", "max"])
def test_limits_that_are_known_are_used_whatever_the_sample(spelling):
    scene = np.random.default_rng(0).gamma(1.0, 300, (60, 70)).astype(np.float32)
    how = Radiometry.parse(spelling)
    low, high = np.percentile(scene, (2, 98)) if spelling != "max" else (0, scene.max())
    window = Mapping8.of(how, scene[:1, :1], None, (float(low), float(high))).apply(scene)
    assert np.abs(window.astype(int) - how.apply(scene)).max() <= 1


def test_linear_states_its_limits_itself():
    """A record rounds what it says of them."""
    how = Radiometry.parse("linear:1234567,1234577")
    scene = np.arange(1234567.0, 1234578.0)[None]
    shown = Mapping8.of(how, scene, None, (1.23457e6, 1.23458e6)).apply(scene)
    np.testing.assert_array_equal(shown, how.apply(scene))
