from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from osm.simulate.noise import fractal_noise, plane_wave, ramp


@settings(max_examples=25, deadline=None)
@given(
    height=st.integers(1, 90),
    width=st.integers(1, 90),
    coarsest=st.floats(1, 200),
    finest=st.floats(1, 60),
)
def test_noise_has_any_shape_and_no_holes(height, width, coarsest, finest):
    field = fractal_noise(np.random.default_rng(0), (height, width), coarsest, finest)
    assert field.shape == (height, width)
    assert field.dtype == np.float32
    assert np.isfinite(field).all()


def test_noise_is_standardised_and_smooth():
    fields = np.stack([fractal_noise(np.random.default_rng(k), (256, 256), 32, 4) for k in range(8)])
    assert abs(fields.mean()) < 0.1
    assert fields.std() == pytest.approx(1.0, abs=0.15)
    assert np.abs(np.diff(fields, axis=2)).mean() < 0.3


def test_ramp_measures_in_units_of_the_shorter_side():
    flat = ramp((10, 40), 0.0)
    assert flat[0, 0] == pytest.approx(-1.95)
    assert flat[3, -1] == pytest.approx(1.95)
    assert ramp((10, 40), np.pi / 2)[0, 5] == pytest.approx(-0.45, abs=1e-5)


def test_plane_wave_is_the_sine_it_stands_for():
    wave = plane_wave((50, 60), 13.0, 0.7, 0.3)
    y, x = np.mgrid[:50, :60]
    expected = np.sin(2 * np.pi / 13.0 * (x * np.cos(0.7) + y * np.sin(0.7)) + 0.3)
    np.testing.assert_allclose(wave, expected, atol=1e-5)
