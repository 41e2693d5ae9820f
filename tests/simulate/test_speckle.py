from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from osm.simulate.speckle import RESOLUTION_PX, add_scatterers, merge_with_clutter, point_response, speckle_intensity


@pytest.mark.parametrize("looks", [1.0, 2.5, 4.0])
def test_speckle_is_gamma_with_the_number_of_looks(looks):
    intensity = speckle_intensity(np.random.default_rng(1), (150, 200), looks).ravel()
    assert intensity.dtype == np.float32
    assert stats.kstest(intensity, stats.gamma(looks, scale=1 / looks).cdf).pvalue > 1e-3
    assert intensity.mean() == pytest.approx(1.0, abs=0.02)
    assert intensity.mean() ** 2 / intensity.var() == pytest.approx(looks, rel=0.05)  # equivalent number of looks


def test_one_look_amplitude_is_rayleigh():
    amplitude = np.sqrt(speckle_intensity(np.random.default_rng(2), (150, 200), 1.0)).ravel()
    assert stats.kstest(amplitude, stats.rayleigh(scale=np.sqrt(0.5)).cdf).pvalue > 1e-3
    # the coefficient of variation of a Rayleigh amplitude
    assert amplitude.std() / amplitude.mean() == pytest.approx(np.sqrt(4 / np.pi - 1), rel=0.02)


def test_neighbouring_pixels_are_independent():
    intensity = speckle_intensity(np.random.default_rng(3), (200, 200), 1.0)
    assert abs(np.corrcoef(intensity[:, 1:].ravel(), intensity[:, :-1].ravel())[0, 1]) < 0.02


def test_point_response_is_a_sinc_of_the_resolution():
    assert point_response(np.array([0.0], np.float32), 30)[0] == 1
    zeros = point_response(np.array([1, 2, -3], np.float32) * RESOLUTION_PX, 30)
    assert np.abs(zeros).max() < 1e-6
    # the first sidelobe of a sinc lies 13.3 dB below the peak
    offsets = np.linspace(RESOLUTION_PX, 2 * RESOLUTION_PX, 200, dtype=np.float32)
    assert 20 * np.log10(np.abs(point_response(offsets, 30)).max()) == pytest.approx(-13.3, abs=0.1)
    assert point_response(np.array([30.0, 31.0], np.float32), 30).tolist() == [0, 0]


def test_a_scatterer_leaves_a_cross():
    field = np.zeros((61, 61), np.complex64)
    # a third of a pixel off centre, so that no pixel hits the zeros of the sinc exactly
    add_scatterers(field, np.array([30.8]), np.array([30.8]), np.array([100j], np.complex64), reach_px=28)
    power = np.abs(field) ** 2
    assert np.unravel_index(power.argmax(), power.shape) == (30, 30)
    assert np.abs(field.real).max() < 1e-3
    arms = power[30, 40:50].mean(), power[40:50, 30].mean(), power[30, 10:20].mean(), power[10:20, 30].mean()
    assert min(arms) > 100 * power[40:50, 40:50].mean()


def test_scatterers_outside_the_scene_change_what_they_reach_only():
    field = np.zeros((20, 20), np.complex64)
    add_scatterers(field, np.array([-5.0]), np.array([10.0]), np.array([50], np.complex64), reach_px=10)
    assert np.abs(field[:, :5]).max() > 0
    assert not field[:, 6:].any()
    untouched = np.zeros((20, 20), np.complex64)
    add_scatterers(untouched, np.array([-50.0]), np.array([10.0]), np.array([50], np.complex64), reach_px=10)
    assert not untouched.any()


@pytest.mark.parametrize("looks", [1.0, 4.0])
def test_a_scatterer_in_clutter_adds_its_power(looks):
    rng = np.random.default_rng(4)
    clutter = speckle_intensity(rng, (200, 200), looks)
    merge_with_clutter(rng, clutter, np.full((200, 200), 2.0, np.complex64), looks)
    assert clutter.mean() == pytest.approx(4 + 1, rel=0.01)
    # |2 + c|^2 with complex Gaussian c, averaged over the looks, has variance (2 * 4 * 1 + 1) / L
    assert clutter.var() == pytest.approx((2 * 4 + 1) / looks, rel=0.05)


def test_clutter_stays_where_there_is_no_scatterer():
    rng = np.random.default_rng(5)
    clutter = speckle_intensity(rng, (30, 30), 1.0)
    before = clutter.copy()
    field = np.zeros((30, 30), np.complex64)
    field[3, 4] = 7
    merge_with_clutter(rng, clutter, field, 1.0)
    changed = np.argwhere(clutter != before)
    assert changed.tolist() == [[3, 4]]
