"""Limits found part by part are those of the whole image."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from osm.data.limits import find_limits
from osm.data.radiometry import Radiometry

HOWS = ("percentile:0.5,99.5", "percentile:0,100", "percentile:20,21", "log:1,99", "max", "minmax", "linear:3,900")
TYPES = (
    "bool", "uint8", "int8", "uint16", "int16", "uint32", "int32", "int64", "float16", "float32", "float64",
    "complex64", "complex128",
)  # fmt: skip


def draw(rng: np.random.Generator, dtype: str) -> np.ndarray:
    image = rng.gamma(1.0, 60.0, (60, 45))
    image[: rng.integers(0, 30)] = 0
    if dtype.startswith("complex"):
        return (image * np.exp(1j * rng.uniform(0, 7, image.shape))).astype(dtype)
    if dtype.endswith("int8"):
        image = image.clip(0, np.iinfo(dtype).max)
    if dtype.startswith(("int", "float")) and rng.random() < 0.5:
        image = 10 * np.log10(image + 1e-3)  # decibels
    if dtype.startswith("float") and rng.random() < 0.5:
        image[:, :5] = rng.choice([np.nan, np.inf, -np.inf, -9999, -0.0])
    return image.astype(dtype)


@pytest.mark.parametrize("dtype", TYPES)
@settings(max_examples=25, deadline=None)
@example(seed=33167, how="percentile:20,21")
@given(seed=st.integers(0, 2**32 - 1), how=st.sampled_from(HOWS))
def test_parts_give_the_limits_and_the_pixels_of_the_whole(dtype: str, seed: int, how: str) -> None:
    rng = np.random.default_rng(seed)
    image, rule = draw(rng, dtype), Radiometry.parse(how)
    nodata = rng.choice([None, 0.0, -9999.0])

    def parts():
        for row in range(0, 60, 17):
            yield image[row : row + 17]

    low, high = find_limits(rule, parts, nodata)
    whole = rule.apply(image, nodata=nodata)
    mapped = np.concatenate([rule.apply_between(part, low, high, nodata=nodata) for part in parts()])
    np.testing.assert_array_equal(mapped, whole)


@given(
    values=arrays(np.float32, st.integers(1, 40), elements=st.floats(allow_nan=True, allow_infinity=True, width=32)),
    low=st.floats(0, 99),
    part=st.integers(1, 40),
)
def test_percentiles_are_those_of_numpy_in_double_precision(values: np.ndarray, low: float, part: int) -> None:
    rule = Radiometry("percentile", low, 100)
    found = find_limits(rule, lambda: (values[at : at + part] for at in range(0, len(values), part)))
    valid = values[np.isfinite(values)].astype(np.float64)
    valid = valid if (valid < 0).any() else valid[valid > 0]
    assert found == (tuple(np.percentile(valid, (low, 100)) + 0.0) if len(valid) else (0, 1))


@pytest.mark.parametrize("image", [np.zeros((4, 4), np.uint16), np.full((4, 4), np.nan, np.float32)])
def test_nothing_valid_has_limits_all_the_same(image: np.ndarray) -> None:
    assert find_limits(Radiometry("percentile", 0.5, 99.5), lambda: [image]) == (0.0, 1.0)


def test_memory_does_not_grow_with_the_scene() -> None:
    import tracemalloc

    part = np.random.default_rng(0).gamma(1, 60, (64, 512)).astype(np.float32)
    peaks = []
    for count in (4, 40):
        tracemalloc.start()
        find_limits(Radiometry("percentile", 0.5, 99.5), lambda count=count: (part for _ in range(count)))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.1 * peaks[0]
