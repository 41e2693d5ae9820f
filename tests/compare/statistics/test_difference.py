"""Spread, interval, p-value and correction: known answers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from osm.compare.statistics.chance import freedom_of
from osm.compare.statistics.difference import interval, permutation_p
from osm.compare.statistics.holm import corrected, holm
from osm.compare.statistics.power import needed_words
from osm.compare.statistics.ranking import CellRankings
from osm.compare.statistics.spread import spread_of
from osm.compare.statistics.study import Settings, differences
from osm.compare.statistics.synthetic import World
from osm.errors import DataError
from tests.compare.statistics.cases import difference


def gaussian(rng, seeds=4, scenes=40, draws=4000, seed_sd=1.0, scene_sd=2.0, both_sd=3.0, mean=0.0):
    """Differences that are means over scenes, and the same under resamples of the scenes."""
    cells = mean + rng.normal(0, seed_sd, (seeds, 1)) + rng.normal(0, scene_sd, scenes)
    cells = cells + rng.normal(0, both_sd, (seeds, scenes))
    weights = rng.multinomial(scenes, np.full(scenes, 1 / scenes), size=draws).T / scenes
    return cells.mean(axis=1), cells @ weights


def test_variance_is_taken_apart_as_it_was_put_together():
    rng = np.random.default_rng(0)
    found = [spread_of(*gaussian(rng, draws=400), 40) for _ in range(400)]
    # seeds: 1/4 + 9/160; scenes: 4/40; both: 9/160
    assert np.mean([one.seeds for one in found]) == pytest.approx(0.306, rel=0.1)
    assert np.mean([one.scenes for one in found]) == pytest.approx(0.1, rel=0.12)
    assert np.mean([one.both for one in found]) == pytest.approx(0.056, rel=0.1)


def test_the_interval_of_one_kind_of_chance_is_students():
    from scipy.stats import t

    deltas = np.array([0.01, 0.03, 0.08, 0.04])
    low, high, spread = interval(deltas, np.repeat(deltas[:, None], 40000, axis=1), 10, np.random.default_rng(0))
    half = t.ppf(0.975, 3) * deltas.std(ddof=1) / 2
    assert freedom_of(spread, 0.95) == pytest.approx(3)
    # resampling four seeds is coarser than a normal distribution
    assert (high - low) / 2 == pytest.approx(half, rel=0.08)
    assert (high + low) / 2 == pytest.approx(0.04, abs=0.1 * half)


def test_one_seed_speaks_of_the_scenes_alone():
    deltas, draws = gaussian(np.random.default_rng(1), seeds=1, seed_sd=0)
    _, _, spread = interval(deltas, draws, 40, np.random.default_rng(0))
    assert spread.seeds == 0
    assert spread.scenes == pytest.approx(draws.var() * 40 / 39)


def test_a_p_value_falls_with_the_difference_and_is_one_without():
    rng = np.random.default_rng(0)
    swapped = rng.normal(0, 0.01, (3, 2000))
    p = [
        permutation_p(np.array([-0.01, 0, 0.01]) + mean, swapped, 20, np.random.default_rng(1))
        for mean in (0, 0.02, 0.2)
    ]
    assert p[0] == 1
    assert 0.05 < p[1] < 0.5
    assert p[2] < 0.01


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_never_lowers_a_p_value_nor_changes_their_order(values):
    found = holm(values)
    assert all(plain <= after <= 1 for plain, after in zip(values, found, strict=True))
    assert min(found) == pytest.approx(min(1, min(values) * len(values)))
    order = np.argsort(values, kind="stable")
    assert (np.diff(np.array(found)[order]) >= 0).all()


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []


def test_families_are_corrected_apart():
    rows = [difference(0.04, p=0.02), difference(0.04, p=0.03, detector="e"), difference(0.04, p=0.04, arm="other")]
    assert [one.p_holm for one in corrected(rows)] == pytest.approx([0.04, 0.04, 0.04])
    assert [one.settled for one in corrected(rows)] == [True] * 3


def cells(effect, seeds=3, scenes=12):
    baseline, arm = World(effect=effect).draw(seeds, scenes, np.random.default_rng(2))
    names = tuple(f"s{index:02d}" for index in range(scenes))
    made = {("d", "scratch", seed): CellRankings(names, one, (one,)) for seed, one in enumerate(baseline)}
    return made | {("d", "osm", seed): CellRankings(names, one, (one,)) for seed, one in enumerate(arm)}


def test_differences_of_a_study_are_repeatable_and_alike_in_several_processes():
    small = Settings(resamples=200, swaps=200)
    pairs = [("osm", "scratch"), ("absent", "scratch")]
    found = differences(cells(0.8), pairs, place="scene", metrics=("ap50", "ap_coco"), settings=small)
    assert [(one.arm, one.metric) for one in found] == [("osm", "ap50"), ("osm", "ap_coco")]
    assert found[0].estimate == pytest.approx(np.mean([delta for _, delta in found[0].per_seed]))
    assert found[0].low < found[0].estimate < found[0].high
    several = differences(
        cells(0.8), pairs, place="scene", metrics=("ap50", "ap_coco"), settings=replace(small, workers=2)
    )
    assert several == found


def test_the_same_arm_twice_differs_by_nothing():
    same = {("d", arm, seed): cell for (_, name, seed), cell in cells(0).items() for arm in "ab" if name == "osm"}
    (found,) = differences(same, [("a", "b")], place="scene", settings=Settings(100, 100))
    assert (found.low, found.estimate, found.high, found.p) == (0, 0, 0, 1)
    assert needed_words(found).startswith("not settled; neither")


def test_cells_of_other_scenes_are_refused():
    mixed = cells(0)
    odd = mixed["d", "osm", 1]
    mixed["d", "osm", 1] = CellRankings(("x", *odd.scene_ids[1:]), odd.voc, odd.coco)
    with pytest.raises(DataError, match="d, osm, seed 1: found other scenes"):
        differences(mixed, [("osm", "scratch")], place="scene")
