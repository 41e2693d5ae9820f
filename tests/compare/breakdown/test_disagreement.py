"""Scenes in which arms disagree: a ranking."""

from __future__ import annotations

import numpy as np
import pytest

from osm.compare.breakdown.disagreement import disagreements
from osm.detection.results import ImageResult

SHIP, FAR = [0.0, 0, 10, 10], [50.0, 50, 60, 60]


def image(name, boxes, scores=None):
    boxes = np.asarray(boxes, float).reshape(-1, 4)
    return ImageResult(
        name, np.array([SHIP]), np.zeros(1, bool), boxes, np.ones(len(boxes)) if scores is None else scores
    )


def test_the_furthest_apart_come_first():
    arm = {
        0: [image("a", [SHIP]), image("b", [SHIP]), image("c", [])],
        1: [image("a", [SHIP]), image("b", []), image("c", [])],
    }
    base = {seed: [image("a", [FAR]), image("b", []), image("c", [])] for seed in (0, 1, 2)}
    found = disagreements(arm, base)
    assert [one.scene_id for one in found] == ["a", "b", "c"]
    assert (found[0].hits, found[0].false_alarms, found[0].balance, found[0].ships) == (1, -1, 2, 1)
    assert found[1].balance == 0.5
    assert [-one.balance for one in disagreements(base, arm)] == [one.balance for one in found]


def test_unsure_detections_are_left_out():
    arm, base = {0: [image("a", [SHIP, FAR], np.array([0.9, 0.1]))]}, {0: [image("a", [])]}
    assert disagreements(arm, base)[0].false_alarms == 0
    assert disagreements(arm, base, min_score=0.05)[0].false_alarms == 1


def test_what_cannot_be_compared_is_refused():
    with pytest.raises(ValueError, match="no seed"):
        disagreements({0: [image("a", [])]}, {1: [image("a", [])]})
    with pytest.raises(ValueError, match="different scenes"):
        disagreements({0: [image("a", [])]}, {0: [image("b", [])]})
