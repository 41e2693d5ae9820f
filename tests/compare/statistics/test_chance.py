"""The sum of two t's against draws, against Student's t alone, and in its order."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from osm.compare.statistics.chance import freedom_of, inside, reach_of
from osm.compare.statistics.spread import Spread

VARIANCES = st.floats(1e-8, 1e-2)
COUNTS = st.integers(2, 200)


def spread(seeds, scenes, n_seeds, n_scenes):
    return Spread(seeds=seeds, scenes=scenes, both=0.0, n_seeds=n_seeds, n_scenes=n_scenes)


@pytest.mark.parametrize(("n_seeds", "n_scenes"), [(3, 10), (3, 3), (5, 116), (2, 30)])
@pytest.mark.parametrize("seeds", [1e-6, 1e-4, 1e-3])
def test_it_is_the_sum_of_two_ts(n_seeds, n_scenes, seeds):
    rng = np.random.default_rng(0)
    one = spread(seeds, 1e-4, n_seeds, n_scenes)
    drawn = np.sqrt(seeds) * rng.standard_t(n_seeds - 1, 400_000) + 0.01 * rng.standard_t(n_scenes - 1, 400_000)
    for reach in (0.01, 0.03, 0.1):
        assert inside(one, reach) == pytest.approx(np.mean(np.abs(drawn) <= reach), abs=0.003)


@pytest.mark.parametrize(("n_seeds", "n_scenes"), [(1, 10), (4, 1)])
def test_one_kind_of_chance_is_students(n_seeds, n_scenes):
    from scipy.stats import t

    one = spread(4e-4 * (n_seeds > 1), 4e-4 * (n_scenes > 1), n_seeds, n_scenes)
    free = max(n_seeds, n_scenes) - 1
    assert reach_of(one, 0.95) == pytest.approx(0.02 * t.ppf(0.975, free))
    assert freedom_of(one, 0.95) == pytest.approx(free)


def test_nothing_varies():
    still = spread(0.0, 0.0, 3, 10)
    assert inside(still, 0.0) == 1
    assert reach_of(still, 0.95) == 0
    assert freedom_of(still, 0.95) == np.inf


@given(VARIANCES, VARIANCES, COUNTS, COUNTS, st.floats(0.5, 0.99))
def test_the_reach_holds_its_share(seeds, scenes, n_seeds, n_scenes, share):
    one = spread(seeds, scenes, n_seeds, n_scenes)
    assert inside(one, reach_of(one, share)) == pytest.approx(share, abs=1e-6)


@given(VARIANCES, VARIANCES, COUNTS, COUNTS, st.integers(1, 10**6))
def test_more_scenes_or_seeds_never_widen_it(seeds, scenes, n_seeds, n_scenes, more):
    one = spread(seeds, scenes, n_seeds, n_scenes)
    reach = reach_of(one, 0.95)
    assert reach_of(one.scaled(n_seeds, n_scenes + more), 0.95) <= reach * (1 + 1e-3)
    assert reach_of(one.scaled(n_seeds + more, n_scenes), 0.95) <= reach * (1 + 1e-3)
