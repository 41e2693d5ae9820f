"""AP of resamples against the evaluator on scenes that are really copied, dropped or swapped."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from osm.compare.statistics.ranking import Ranking, rankings_of
from osm.compare.statistics.resample import resampled_ap, scene_draws, scene_swaps, swapped_difference
from osm.compare.statistics.study import cell_figures
from osm.detection.evaluate import average_precision
from osm.detection.results import ImageResult

quick = settings(max_examples=20, deadline=None)
seeds = st.integers(0, 2**32 - 1)


def detector(rng, truths):
    """Results on given ships, with scores that no two detections share."""
    results = []
    for index, truth in enumerate(truths):
        near = truth[rng.random(len(truth)) < 0.8] + rng.normal(0, 1.5, (1, 4)) if len(truth) else truth
        corner = rng.uniform(0, 90, (rng.integers(0, 5), 2))
        boxes = np.vstack([near, np.hstack([corner, corner + 12])])
        ignore = np.arange(len(truth)) == 3
        results.append(ImageResult(f"s{index:02d}", truth, ignore, boxes, rng.random(len(boxes))))
    return results


def ships(rng, scenes=6):
    truths = []
    for _ in range(scenes):
        corner = rng.uniform(0, 90, (rng.integers(0, 5), 2))
        truths.append(np.hstack([corner, corner + rng.uniform(8, 20, corner.shape)]))
    truths[0] = np.array([[0.0, 0, 10, 10]])
    return truths


def rankings(results):
    return rankings_of(results, {result.image_id: result.image_id for result in results})


def copied(results, drawn):
    return [
        ImageResult(f"{r.image_id}#{copy}", r.truth, r.ignore, r.boxes, r.scores)
        for r, number in zip(results, drawn, strict=True)
        for copy in range(int(number))
    ]


@quick
@given(seeds)
def test_a_resample_has_the_ap_of_scenes_that_are_really_copied(seed):
    rng = np.random.default_rng(seed)
    results = detector(rng, ships(rng))
    cell = rankings(results)
    drawn = scene_draws(len(results), 5, rng, cell.voc.truth_counts)
    voc = resampled_ap(cell.voc, drawn, ("area", "eleven"))
    coco = [resampled_ap(one, drawn, ("coco",))["coco"] for one in cell.coco]
    for b in range(drawn.shape[1]):
        ap = average_precision(copied(results, drawn[:, b]))
        assert voc["area"][b] == pytest.approx(ap.ap50, abs=1e-5)
        assert voc["eleven"][b] == pytest.approx(ap.ap50_voc07, abs=1e-5)
        # recalls that fall on a sampled one to the last bit may be rounded to either side: a hundredth at most
        assert coco[0][b] == pytest.approx(ap.ap50_coco, abs=1 / 101 + 1e-5)
        assert np.mean([one[b] for one in coco]) == pytest.approx(ap.ap_coco, abs=1 / 101 + 1e-5)


@quick
@given(seeds)
def test_swapped_arms_have_the_ap_of_results_that_are_really_swapped(seed):
    rng = np.random.default_rng(seed)
    truths = ships(rng)
    first, second = detector(rng, truths), detector(rng, truths)
    swaps = scene_swaps(len(truths), 5, rng)
    found = swapped_difference(rankings(first).voc, rankings(second).voc, swaps, ("area", "eleven"))
    for b in range(swaps.shape[1]):
        one = [s if swap else f for f, s, swap in zip(first, second, swaps[:, b], strict=True)]
        other = [f if swap else s for f, s, swap in zip(first, second, swaps[:, b], strict=True)]
        a, c = average_precision(one), average_precision(other)
        assert found["area"][b] == pytest.approx(c.ap50 - a.ap50, abs=1e-5)
        assert found["eleven"][b] == pytest.approx(c.ap50_voc07 - a.ap50_voc07, abs=1e-5)


@quick
@given(seeds)
def test_the_figures_of_a_cell_are_the_evaluators(seed):
    rng = np.random.default_rng(seed)
    results = detector(rng, ships(rng))
    ap = average_precision(results)
    for name, value in cell_figures(rankings(results)).items():
        assert value == pytest.approx(getattr(ap, name), abs=1e-12)


def test_swapping_nowhere_and_everywhere_are_mirrors():
    rng = np.random.default_rng(1)
    truths = ships(rng)
    first, second = rankings(detector(rng, truths)).voc, rankings(detector(rng, truths)).voc
    swaps = np.stack([np.zeros(len(truths)), np.ones(len(truths))], axis=1).astype(np.float32)
    found = swapped_difference(first, second, swaps)["area"]
    assert found[0] == pytest.approx(-found[1])
    ones = np.ones((len(truths), 1), dtype=np.float32)
    assert found[0] == pytest.approx(resampled_ap(second, ones)["area"][0] - resampled_ap(first, ones)["area"][0])


def test_every_draw_has_as_many_scenes_as_there_are_and_a_ship():
    truth = np.array([0, 0, 0, 0, 1])
    drawn = scene_draws(5, 500, np.random.default_rng(0), truth)
    assert drawn.shape == (5, 500)
    np.testing.assert_array_equal(drawn.sum(axis=0), 5)
    assert (truth @ drawn > 0).all()
    with pytest.raises(ValueError, match="no ship"):
        scene_draws(5, 1, np.random.default_rng(0), np.zeros(5, dtype=int))


def test_a_detector_that_finds_nothing():
    empty = Ranking(np.empty(0), np.empty(0, dtype=np.int64), np.empty(0, dtype=bool), np.array([2, 1]))
    np.testing.assert_array_equal(
        resampled_ap(empty, np.ones((2, 3), np.float32), ("area", "eleven", "coco"))["coco"], 0
    )
    np.testing.assert_array_equal(swapped_difference(empty, empty, np.ones((2, 3), np.float32))["area"], 0)


@pytest.mark.parametrize("seed", range(5))
def test_sparse_sums_are_those_of_the_whole_matrix_to_the_last_bit(seed):
    rng = np.random.default_rng(seed)
    scenes, found, draws = 12, 90, 40
    hit = rng.random(found) < 0.4
    ranking = Ranking(-np.arange(found, dtype=float), rng.integers(0, scenes, found), hit, rng.integers(4, 9, scenes))
    drawn = scene_draws(scenes, draws, rng, ranking.truth_counts)
    # false alarms of every scene above every hit, as one dense matrix
    above = np.array([
        np.bincount(ranking.scene[:place][~hit[:place]], minlength=scenes) for place in np.flatnonzero(hit)
    ], dtype=np.float32)  # fmt: skip
    owner = ranking.scene[hit]
    left = np.bincount(owner, minlength=scenes).astype(np.float32) @ drawn
    false, envelope, area = above @ drawn, np.zeros(draws, np.float32), np.zeros(draws, np.float32)
    for row in range(len(owner) - 1, -1, -1):
        envelope = np.maximum(envelope, left / np.maximum(left + false[row], np.float32(1)))
        area += envelope * drawn[owner[row]]
        left = left - drawn[owner[row]]
    expected = area * (1 / (ranking.truth_counts.astype(np.float32) @ drawn))
    assert resampled_ap(ranking, drawn)["area"].tobytes() == expected.tobytes()
