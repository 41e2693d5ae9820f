from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from osm.data.radiometry import Radiometry
from osm.errors import ConfigError, DataError

ALL = ("none", "max", "minmax", "percentile:0.5,99.5", "log:1,99", "linear:0,4000", "linear:-25.5,1e-05")


@pytest.mark.parametrize("text", ["none", "max", "minmax", "percentile:0.5,99.5", "log:1,99", "linear:-25.5,4000"])
def test_spellings_come_back(text: str) -> None:
    assert str(Radiometry.parse(text)) == text


@settings(deadline=None, max_examples=60)
@given(st.floats(-1e30, 1e30), st.floats(-1e30, 1e30))
def test_every_linear_radiometry_is_read_back_exactly(low: float, high: float) -> None:
    if low < high:
        how = Radiometry("linear", low, high)
        assert Radiometry.parse(str(how)) == how


def test_bare_percentile_and_log_mean_the_default_percentiles() -> None:
    assert Radiometry.parse("percentile") == Radiometry("percentile", 0.5, 99.5)
    assert str(Radiometry.parse("log")) == "log:0.5,99.5"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "auto",
        "Max",
        "percentil:1,99",
        "percentile:",
        "percentile:1",
        "percentile:1,2,3",
        "percentile:a,b",
        "linear",
    ],
)
def test_other_spellings_are_refused_and_the_right_ones_named(text: str) -> None:
    with pytest.raises(ConfigError, match="percentile:LOW,HIGH"):
        Radiometry.parse(text)


@pytest.mark.parametrize(
    "text",
    ["percentile:99,1", "percentile:-1,99", "log:1,101", "linear:5,5", "linear:0,inf", "linear:nan,1", "max:1,2"],
)
def test_limits_out_of_range_are_refused(text: str) -> None:
    with pytest.raises(ConfigError):
        Radiometry.parse(text)


def test_known_answers() -> None:
    image = np.asarray([[10, 20], [30, 110]], dtype=np.uint16)
    np.testing.assert_array_equal(Radiometry("max").apply(image), [[23, 46], [70, 255]])
    np.testing.assert_array_equal(Radiometry("minmax").apply(image), [[0, 26], [51, 255]])
    np.testing.assert_array_equal(Radiometry("percentile", 0, 100).apply(image), [[0, 26], [51, 255]])
    np.testing.assert_array_equal(Radiometry("linear", 20, 30).apply(image), [[0, 0], [255, 255]])
    logs = np.asarray([[1, 10], [100, 1000]], dtype=np.float32)
    np.testing.assert_array_equal(Radiometry("log", 0, 100).apply(logs), [[0, 85], [170, 255]])


def test_percentiles_clip_outliers() -> None:
    image = np.arange(1, 10_001, dtype=np.float32).reshape(100, 100)
    image[0, 0], image[-1, -1] = -1e6, 1e9
    mapped = Radiometry("percentile", 1, 99).apply(image)
    assert mapped[0, 0] == 0
    assert mapped[-1, -1] == 255
    assert abs(int(mapped[50, 0]) - 127) <= 1


def test_none_passes_8_bits_and_refuses_others() -> None:
    image = np.arange(256, dtype=np.uint8).reshape(16, 16)
    np.testing.assert_array_equal(Radiometry("none").apply(image), image)
    with pytest.raises(DataError, match="uint16"):
        Radiometry("none").apply(image.astype(np.uint16))


@pytest.mark.parametrize("kind", ["max", "minmax", "percentile", "log"])
def test_missing_pixels_stay_out_of_the_statistics_and_become_zero(kind: str) -> None:
    limits = (0.0, 100.0) if kind in ("percentile", "log") else (0.0, 0.0)
    image = np.linspace(10, 100, 64, dtype=np.float32).reshape(8, 8)
    clean = Radiometry(kind, *limits).apply(image)
    for fill, nodata in ((np.nan, None), (np.inf, None), (-np.inf, None), (0.0, None), (-9999.0, -9999.0)):
        spoilt = image.copy()
        spoilt[3, :4] = fill
        mapped = Radiometry(kind, *limits).apply(spoilt, nodata=nodata)
        assert (mapped[3, :4] == 0).all(), (kind, fill)
        np.testing.assert_array_equal(np.delete(mapped, 3, axis=0), np.delete(clean, 3, axis=0))


def test_zero_is_a_measurement_where_values_may_be_negative() -> None:
    decibels = np.asarray([[-20.0, 0.0], [-10.0, 20.0]], dtype=np.float32)
    np.testing.assert_array_equal(Radiometry("minmax").apply(decibels), [[0, 128], [64, 255]])


def test_nothing_valid_gives_black() -> None:
    for image in (np.full((4, 4), np.nan, dtype=np.float32), np.zeros((4, 4), dtype=np.uint16)):
        for text in ("max", "minmax", "percentile:1,99", "log:1,99"):
            assert not Radiometry.parse(text).apply(image).any()


def test_complex_images_are_taken_by_magnitude() -> None:
    image = np.asarray([[3 + 4j, 0], [0, 10j]], dtype=np.complex64)
    np.testing.assert_array_equal(Radiometry("max").apply(image), [[128, 0], [0, 255]])


def test_colours_share_one_mapping() -> None:
    image = np.zeros((2, 2, 3), dtype=np.uint16)
    image[..., 0], image[..., 1], image[..., 2] = 1000, 500, 250
    mapped = Radiometry("max").apply_colour(image)
    np.testing.assert_array_equal(mapped[0, 0], [255, 128, 64])


@settings(deadline=None, max_examples=60)
@given(
    st.sampled_from(ALL[1:]),
    hnp.arrays(
        st.sampled_from([np.dtype(np.uint8), np.dtype(np.uint16), np.dtype(np.int16), np.dtype(np.float32)]),
        hnp.array_shapes(min_dims=2, max_dims=2, max_side=8),
    ),
)
def test_any_image_maps_to_bytes_and_keeps_its_order(text: str, image: np.ndarray) -> None:
    mapped = Radiometry.parse(text).apply(image)
    assert mapped.dtype == np.uint8
    assert mapped.shape == image.shape
    finite = np.isfinite(image)
    order = np.argsort(image[finite], kind="stable")
    assert (np.diff(mapped[finite][order].astype(int)) >= 0).all()
    assert not mapped[~finite].any()


@settings(deadline=None, max_examples=60)
@given(hnp.arrays(np.uint16, (6, 6)), st.sampled_from(ALL[1:-1]))
def test_the_lookup_of_16_bits_agrees_with_the_computation(image: np.ndarray, text: str) -> None:
    how = Radiometry.parse(text)
    np.testing.assert_array_equal(how.apply(image), how.apply(image.astype(np.float64)))
