"""Hits, false alarms, and where arms disagree."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from osm.detection.evaluate import judge
from osm.detection.results import FALSE_ALARM, HIT, ImageResult
from osm.view.verdicts import IOU, Shown, above, claims, disagreements
from tests.view.made import FOUND_A, FOUND_B, SCORES_A, SCORES_B, SHIPS


def result(boxes, scores, truth=SHIPS, ignore=None):
    flags = np.zeros(len(truth), dtype=bool) if ignore is None else np.array(ignore)
    return ImageResult("a", truth, flags, boxes, scores)


def arm(name, boxes, scores, least=0.0, known=True, ignore=None):
    truth = SHIPS if known else SHIPS[:0]
    return Shown(above(result(boxes, scores, truth, ignore), least), known, name)


def words(places):
    return [place.words for place in places]


def test_two_arms_differ_in_the_ships_that_one_alone_hits():
    found = disagreements(arm("A", FOUND_A, SCORES_A), arm("B", FOUND_B, SCORES_B))
    # both raise the same false alarm, and both hit the second ship
    assert words(found) == ["hit by A only", "hit by B only"]
    np.testing.assert_array_equal([place.box for place in found], SHIPS[[0, 2]])


def test_what_scores_too_little_counts_for_nothing():
    found = disagreements(arm("A", FOUND_A, SCORES_A, 0.5), arm("B", FOUND_B, SCORES_B, 0.5))
    assert words(found) == ["false alarm of B only", "hit by A only"]


def test_one_arm_differs_from_the_truth():
    found = disagreements(arm("A", FOUND_A, SCORES_A), None)
    assert words(found) == ["false alarm of A", "missed by A"]
    assert disagreements(arm("A", FOUND_A, SCORES_A, known=False), None) == []


def test_without_truth_boxes_that_one_arm_alone_found():
    found = disagreements(arm("A", FOUND_A, SCORES_A, known=False), arm("B", FOUND_B, SCORES_B, known=False))
    assert words(found) == ["found by A only", "found by B only"]
    np.testing.assert_array_equal([place.box for place in found], [FOUND_A[0], FOUND_B[1]])


def test_ships_that_do_not_count_are_no_disagreement():
    ignore = [True, False, True]
    found = disagreements(arm("A", FOUND_A, SCORES_A, ignore=ignore), arm("B", FOUND_B, SCORES_B, ignore=ignore))
    assert found == []


boxes = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30), st.integers(1, 20), st.integers(1, 20)), max_size=8)


@given(boxes, boxes, st.data())
def test_verdicts_of_what_is_left_do_not_depend_on_what_scores_less(truth, found, data):
    # the page judges once, and counts by score
    corners = [np.array([(x, y, x + w, y + h) for x, y, w, h in one], dtype=np.float32).reshape(-1, 4)
               for one in (truth, found)]  # fmt: skip
    ignore = data.draw(st.lists(st.booleans(), min_size=len(truth), max_size=len(truth)))
    scores = np.array(data.draw(st.lists(st.integers(0, 10), min_size=len(found), max_size=len(found)))) / 10
    whole = ImageResult("a", corners[0], np.array(ignore, dtype=bool), corners[1], scores)
    verdict = judge(whole, IOU)
    least = data.draw(st.integers(0, 10)) / 10
    kept = scores >= least
    np.testing.assert_array_equal(judge(above(whole, least), IOU), verdict[kept])
    claimed = claims(whole, verdict)
    np.testing.assert_array_equal(claimed >= 0, verdict == HIT)
    assert len(set(claimed[claimed >= 0])) == np.count_nonzero(verdict == HIT)
    assert not np.isin(claimed[claimed >= 0], np.flatnonzero(ignore)).any()
    assert (claimed[verdict == FALSE_ALARM] == -1).all()
