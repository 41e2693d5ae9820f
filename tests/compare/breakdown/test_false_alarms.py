"""False alarms per km²: known answers."""

from __future__ import annotations

import numpy as np
import pytest

from osm.compare.breakdown.false_alarms import false_alarm_rate
from osm.detection.predictions import ScenePrediction


def scene(name, truth, boxes, scores, ignore=None):
    ignore = np.zeros(len(truth), bool) if ignore is None else np.array(ignore)
    return ScenePrediction(name, "", 1000, 500, "max", np.array(truth), ignore, np.array(boxes), np.array(scores))


ONE = scene("a", [[0, 0, 10, 10]], [[0, 0, 10, 10], [50, 0, 60, 10], [90, 0, 99, 10]], [0.9, 0.8, 0.3])
TWO = scene("b", [[0, 0, 10, 10]], [[0, 0, 10, 10], [50, 0, 60, 10]], [0.9, 0.9], ignore=[True])


def test_alarms_over_ground():
    # 1000 × 500 px of 2 m are 2 km², of 1 m half a km²
    found = false_alarm_rate([ONE, TWO], {"a": 2.0, "b": 1.0})
    assert (found.false_alarms, found.recall) == (2, 1)
    assert found.area_km2 == pytest.approx(2.5)
    assert found.per_km2 == pytest.approx(0.8)
    assert false_alarm_rate([ONE], {"a": 2.0}, min_score=0.2).false_alarms == 2
    assert false_alarm_rate([ONE], {"a": 2.0}, min_score=0.95).recall == 0


@pytest.mark.parametrize("sizes", [{}, {"a": 2.0}, {"a": None, "b": 1.0}, {"a": 1.0, "b": None}])
def test_no_rate_without_every_pixel_size(sizes):
    found = false_alarm_rate([ONE, TWO], sizes)
    assert (found.area_km2, found.per_km2) == (None, None)
    assert found.false_alarms == 2


def test_without_scenes_or_ships_there_is_nothing_to_say():
    assert false_alarm_rate([], {}).per_km2 is None
    assert false_alarm_rate([TWO], {"b": 1.0}).recall is None
