"""What would settle a difference, what could have been found, and the words for it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from osm.compare.statistics.difference import interval
from osm.compare.statistics.power import detectable, needed, needed_words, resolution_words
from osm.compare.statistics.spread import Spread
from tests.compare.statistics.cases import difference


def test_what_is_needed_shrinks_with_the_difference_and_may_not_exist():
    near, far = needed(difference(0.025)), needed(difference(0.02))
    assert 0 < near.more_scenes < far.more_scenes
    of_seeds = difference(spread=Spread(seeds=1e-4, scenes=0.0, both=0.0, n_seeds=3, n_scenes=10))
    assert needed(of_seeds).more_scenes is None
    assert needed(of_seeds).more_seeds
    of_scenes = difference(spread=Spread(seeds=0.0, scenes=1e-4, both=0.0, n_seeds=1, n_scenes=10))
    assert needed(of_scenes).more_scenes
    assert needed(of_scenes).more_seeds is None
    assert needed(difference(0.04)).more_scenes == 0
    assert needed(difference(0.0)).more_scenes is None


def test_as_many_more_scenes_as_needed_are_enough_and_one_less_is_not():
    spread = Spread(seeds=0.0, scenes=1e-4, both=0.0, n_seeds=1, n_scenes=10)
    from scipy.stats import t

    half = t.ppf(0.975, 9) * 0.01
    more = needed(difference(0.012, half, spread=spread)).more_scenes

    def half_of(scenes):
        return t.ppf(0.975, scenes - 1) * 0.01 * np.sqrt(10 / scenes)

    assert half_of(10 + more) < 0.012 <= half_of(9 + more)


def bootstrapped(seeds, scenes, of_seeds, of_scenes, estimate):
    """The interval of seeds and scenes whose variances are exactly these."""
    moved = np.random.default_rng(1).normal(size=20_000)
    moved = (moved - moved.mean()) / moved.std() * np.sqrt(of_scenes * (scenes - 1) / scenes)
    deltas = np.linspace(-1, 1, seeds)
    deltas = deltas / deltas.std(ddof=1) * np.sqrt(of_seeds * seeds) + estimate
    return interval(deltas, deltas[:, None] + moved, scenes, np.random.default_rng(0))


@pytest.mark.parametrize(
    ("seeds", "scenes", "of_seeds", "of_scenes", "estimate"),
    [
        (2, 10, 1e-6, 1e-4, 0.0155),
        (3, 30, 4e-6, 1e-4, 0.0105),
        (3, 116, 1e-5, 4e-5, 0.0145),
        (5, 30, 4e-6, 1e-4, 0.008),
        (3, 116, 2e-5, 2e-5, 0.02),
    ],
)
def test_the_interval_of_as_many_more_just_reaches_zero(seeds, scenes, of_seeds, of_scenes, estimate):
    low, high, spread = bootstrapped(seeds, scenes, of_seeds, of_scenes, estimate)
    assert low < 0
    what = needed(replace(difference(estimate), low=low, high=high, spread=spread))
    more = what.more_scenes
    end, *_ = bootstrapped(seeds, scenes + more, of_seeds, of_scenes * scenes / (scenes + more), estimate)
    assert end == pytest.approx(0, abs=0.1 * estimate)
    if what.more_seeds:
        of_more = of_seeds * seeds / (seeds + what.more_seeds)
        assert bootstrapped(seeds + what.more_seeds, scenes, of_more, of_scenes, estimate)[0] > 0


def test_a_lopsided_interval_needs_what_reaches_beyond_zero():
    spread = Spread(seeds=1e-5, scenes=5e-5, both=0.0, n_seeds=3, n_scenes=10)
    narrow = replace(difference(0.02, spread=spread), low=-0.001, high=0.03)
    wide = replace(difference(0.02, spread=spread), low=-0.005, high=0.03)
    assert needed(wide).more_scenes > 3 * needed(narrow).more_scenes
    # what lies on the other side of the estimate does not matter
    assert needed(replace(wide, high=0.09)) == needed(wide)
    mirrored = replace(wide, estimate=-0.02, low=-0.03, high=0.005)
    assert needed(mirrored) == needed(wide)


@pytest.mark.parametrize("seeds", [3, 10])
def test_four_of_five_such_studies_find_what_is_detectable(seeds):
    """A t-test of the seeds alone, where the power is known."""
    from scipy.stats import nct, t

    spread = Spread(seeds=1e-4, scenes=0.0, both=0.0, n_seeds=seeds, n_scenes=10)
    half = 0.01 * t.ppf(0.975, seeds - 1)
    found = detectable(difference(0.0, half, spread=spread))
    assert nct.sf(t.ppf(0.975, seeds - 1), seeds - 1, found / 0.01) == pytest.approx(0.8, abs=1e-4)


def test_nothing_that_varies_hides_nothing():
    still = Spread(seeds=0.0, scenes=0.0, both=0.0, n_seeds=3, n_scenes=10)
    assert detectable(difference(0.0, 0.0, spread=still)) == 0


def test_in_plain_words():
    one = difference(0.025)
    assert resolution_words(one).startswith("10 scenes and 3 seeds cannot resolve less than about ±")
    assert 100 * detectable(one) > 3
    assert "more scenes" in needed_words(one)
    assert "neither" in needed_words(difference(0.0))


def test_test_and_interval_have_to_agree():
    clear, held = difference(0.04), difference(0.02)
    assert needed_words(replace(clear, p=0.01, p_holm=0.03)) == "settled"
    after = needed_words(replace(clear, p=0.03, p_holm=0.09), family=3)
    assert after == "not settled after correction for the number of comparisons"
    # nothing was corrected, or it would not have mattered
    for p_holm in (None, 0.2, 0.6):
        words = needed_words(replace(clear, p=0.2, p_holm=p_holm))
        assert words == "not settled: its interval excludes zero, its test does not agree"
    assert needed_words(replace(held, p=0.01)) == "not settled: its test excludes chance, its interval holds zero"
    assert not replace(held, p=0.01).settled
