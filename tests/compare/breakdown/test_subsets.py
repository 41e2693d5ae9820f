"""AP of some of the ships: known answers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from osm.compare.breakdown.subsets import COCO_SIZES, SizeClass, by_group, by_size
from osm.detection.evaluate import average_precision
from osm.detection.results import ImageResult


def image(name, truth, boxes=(), scores=(), ignore=None):
    truth = np.asarray(truth, dtype=np.float32).reshape(-1, 4)
    flags = np.zeros(len(truth), bool) if ignore is None else np.asarray(ignore, bool)
    return ImageResult(name, truth, flags, np.asarray(boxes, np.float32).reshape(-1, 4), np.asarray(scores, np.float32))


SMALL, LARGE = [0, 0, 10, 10], [100, 100, 200, 200]


def test_ships_of_other_sizes_cost_nothing():
    # the large ship is found, surest; of two small ones one is; a false alarm of small size above it
    result = image("a", [SMALL, [20, 0, 30, 10], LARGE], [LARGE, [300, 0, 310, 10], SMALL], [0.9, 0.8, 0.7])
    small, medium, large = by_size([result])
    assert (small.name, small.ships, small.scenes) == ("small", 2, 1)
    assert small.ap50 == pytest.approx(0.5 * 0.5)
    assert medium.ap50 is None
    assert medium.ships == 0
    assert large.ap50 == 1


def test_a_false_alarm_of_another_size_does_not_count():
    result = image("a", [SMALL], [[300, 300, 400, 400], SMALL], [0.9, 0.8])
    assert by_size([result])[0].ap50 == 1


def test_one_class_that_holds_all_is_the_whole():
    rng = np.random.default_rng(0)
    corner = rng.uniform(0, 90, (8, 2))
    truth = np.hstack([corner, corner + 12])
    result = image("a", truth, truth + rng.normal(0, 2, truth.shape), rng.random(8))
    (whole,) = by_size([result], [SizeClass("all", 0, float("inf"))])
    assert whole.ap50 == pytest.approx(average_precision([result]).ap50)


def test_groups_are_scored_apart_and_strangers_left_out():
    results = [
        image("in", [SMALL], [SMALL], [0.5]),
        image("off", [SMALL]),
        image("neither", [SMALL]),
    ]
    inshore, offshore, none = by_group(results, {"inshore": ["in"], "offshore": ["off"], "empty": []})
    assert (inshore.ap50, inshore.ships, inshore.scenes) == (1, 1, 1)
    assert offshore.ap50 == 0
    assert (none.ap50, none.scenes) == (None, 0)
    with pytest.raises(ValueError, match="in groups"):
        by_group(results, {"inshore": ["in"], "offshore": ["in"]})


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_every_ship_is_of_one_size(seed):
    rng = np.random.default_rng(seed)
    corner = rng.uniform(0, 300, (12, 2))
    truth = np.hstack([corner, corner + rng.uniform(1, 150, (12, 2))])
    result = image("a", truth, ignore=rng.random(12) < 0.3)
    assert sum(one.ships for one in by_size([result], COCO_SIZES)) == np.count_nonzero(~result.ignore)
