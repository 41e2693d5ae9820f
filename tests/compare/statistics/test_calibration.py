"""Whether intervals and p-values are what they say, on detections with a known difference."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest

from osm.compare.statistics.resample import resampled_ap
from osm.compare.statistics.synthetic import World


@pytest.fixture(scope="module")
def calibration(repo_root):
    path = repo_root / "benchmarks" / "calibration.py"
    spec = importlib.util.spec_from_file_location("calibration", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def shares(calibration, effect, seeds, scenes, count, draws):
    found = list(calibration.trials(World(effect=effect), seeds, scenes, count, draws, seed=11))
    return {key: float(np.mean([one[key] for one in found])) for key in found[0]}


def test_the_true_difference_is_that_of_very_many_scenes():
    world = World(effect=0.5, seed_sd=0.0)
    rng = np.random.default_rng(0)
    ones = np.ones((800, 1), dtype=np.float32)
    pairs = [world.draw(1, 800, rng) for _ in range(4)]
    found = np.mean([[resampled_ap(arm[0], ones)["area"][0] for arm in pair] for pair in pairs], axis=0)
    # a standard error of 0.004
    np.testing.assert_allclose(found, [world.ap(0.0), world.ap(0.5)], atol=0.015)
    assert World(effect=0.0).difference() == 0


def test_an_interval_covers_and_a_test_does_not_cry_wolf(calibration):
    """A short form of the slow test below: 200 trials of 10 scenes and 3 seeds, so 4 standard errors are allowed."""
    with_effect = shares(calibration, calibration.EFFECT, 3, 10, 200, 150)
    without = shares(calibration, 0.0, 3, 10, 200, 150)
    assert 0.95 - 4 * 0.0154 <= with_effect["covered"] <= 1
    assert without["rejected"] <= 0.06 + 0.0154
    assert with_effect["rejected"] >= without["rejected"]


def test_chance_between_runs_is_not_called_an_effect(calibration):
    """Where the plain test, in the same experiments, cries wolf four times as often as it may: 3 seeds, 116 scenes."""
    without = shares(calibration, 0.0, 3, 116, 100, 150)
    assert without["rejected"] <= 0.05 + 2 * 0.0218
    assert without["plain rejected"] >= 0.15


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("scenes", [10, 30, 116])
@pytest.mark.parametrize("seeds", [3, 5])
def test_calibrated_over_a_thousand_trials(calibration, seeds, scenes):
    with_effect = shares(calibration, calibration.EFFECT, seeds, scenes, 1000, 400)
    assert 0.93 <= with_effect["covered"] <= 0.97
    assert shares(calibration, 0.0, seeds, scenes, 1000, 400)["rejected"] <= 0.06
