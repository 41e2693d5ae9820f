"""Kinds of errors: known answers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from osm.compare.breakdown.error_kinds import KINDS, error_kinds
from osm.detection.results import ImageResult

SHIP, OTHER, THIRD = [0, 0, 10, 10], [100, 0, 110, 10], [200, 0, 210, 10]
LOOSE = [0, 0, 10, 3]  # an IoU of 0.3 with SHIP
FAR = [500, 500, 510, 510]


def image(truth, boxes, scores, ignore=None, name="a"):
    ignore = np.zeros(len(truth), bool) if ignore is None else np.array(ignore)
    return ImageResult(
        name, np.asarray(truth, float).reshape(-1, 4), ignore, np.asarray(boxes, float).reshape(-1, 4), np.array(scores)
    )


def summary(results):
    return {one.kind: (one.count, one.delta_ap) for one in error_kinds(results)}


def test_a_perfect_detector_errs_in_no_way():
    assert summary([image([SHIP], [SHIP], [1.0])]) == dict.fromkeys(KINDS, (0, 0))


def test_each_kind_by_itself():
    # false alarm first, then the hit: AP 0.5, and 1 without it
    assert summary([image([SHIP], [FAR, SHIP], [0.9, 0.8])])["background"] == (1, pytest.approx(0.5))
    # both ships hit, a duplicate between them: 0.5 × 1 + 0.5 × 2/3
    found = summary([image([SHIP, OTHER], [SHIP, SHIP, OTHER], [0.9, 0.8, 0.7])])
    assert found["duplicate"] == (1, pytest.approx(1 - (0.5 + 0.5 * 2 / 3)))
    # a loose box mended is a hit
    found = summary([image([SHIP], [LOOSE], [0.9])])
    assert found["localisation"] == (1, pytest.approx(1))
    assert found["missed"] == (0, 0)
    # one of two ships missed
    found = summary([image([SHIP, OTHER], [SHIP], [0.9])])
    assert found["missed"] == (1, pytest.approx(0.5))


def test_a_loose_box_on_a_ship_that_is_hit_goes_when_mended():
    found = summary([image([SHIP, OTHER], [LOOSE, SHIP, OTHER], [0.9, 0.8, 0.7])])
    assert found["localisation"] == (1, pytest.approx(1 - 2 / 3))


def test_the_thresholds_belong_to_the_better_kind():
    tenth, below = [0, 0, 10, 1], [0, 0, 10, 0.99]
    assert summary([image([SHIP], [tenth], [1.0])])["localisation"][0] == 1
    assert summary([image([SHIP], [below], [1.0])])["background"][0] == 1


def test_ignored_ships_are_no_errors():
    found = summary([image([SHIP, OTHER], [SHIP, OTHER], [0.9, 0.8], ignore=[False, True])])
    assert found == dict.fromkeys(KINDS, (0, 0))
    assert summary([image([SHIP], [FAR], [0.9], ignore=[True])])["background"] == (1, None)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_every_false_alarm_has_a_kind_and_mending_never_hurts(seed):
    rng = np.random.default_rng(seed)
    results = []
    for name in "abc":
        corner = rng.uniform(0, 40, (rng.integers(0, 5), 2))
        truth = np.hstack([corner, corner + rng.uniform(5, 20, corner.shape)])
        near = truth[rng.integers(0, len(truth), 6)] + rng.normal(0, 4, (6, 4)) if len(truth) else np.empty((0, 4))
        boxes = np.vstack([near, [[60, 60, 70, 70]]])
        results.append(image(truth, boxes, rng.random(len(boxes)), name=name))
    found = error_kinds(results)
    from osm.detection.coco import judge_coco
    from osm.detection.results import FALSE_ALARM

    alarms = np.count_nonzero(judge_coco(results, np.array([0.5])).verdict == FALSE_ALARM)
    assert sum(one.count for one in found if one.kind != "missed") == alarms
    assert all(one.delta_ap is None or one.delta_ap >= -1e-12 for one in found)
