from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from sklearn.metrics import accuracy_score, precision_score, recall_score, roc_auc_score

from osm.matching.metrics import Verdicts, auc, best_threshold, verdicts

# few distinct values, so that ties occur
DISTANCES = npst.arrays(np.float64, st.integers(1, 40), elements=st.integers(0, 12).map(lambda k: k / 12))


def labelled(match, nonmatch):
    return np.r_[np.ones(len(match)), np.zeros(len(nonmatch))], np.concatenate([match, nonmatch])


def test_known_answers():
    match, nonmatch = np.array([0.1, 0.2, 0.3, 0.9]), np.array([0.2, 0.5, 0.6, 0.8])
    assert verdicts(match, nonmatch, 0.3) == Verdicts(0.3, 6 / 8, 3 / 4, 3 / 4, 4)
    assert auc(match, nonmatch) == (4 + 3.5 + 3 + 0) / 16
    assert auc(np.array([0.0]), np.array([1.0])) == 1.0
    assert auc(np.array([1.0]), np.array([0.0])) == 0.0
    assert auc(np.full(3, 0.5), np.full(4, 0.5)) == 0.5


def test_a_distance_at_the_threshold_matches():
    assert verdicts(np.array([0.38]), np.array([0.3800001]), 0.38).accuracy == 1.0


def test_precision_without_a_predicted_match_is_0_and_the_count_says_so():
    result = verdicts(np.array([0.5]), np.array([0.6]), 0.38)
    assert (result.precision, result.recall, result.accuracy, result.predicted_matches) == (0.0, 0.0, 0.5, 0)


@given(DISTANCES, DISTANCES, st.integers(-1, 13).map(lambda k: k / 12))
@settings(deadline=None)
def test_agrees_with_scikit_learn(match, nonmatch, threshold):
    truth, values = labelled(match, nonmatch)
    said = values <= threshold
    ours = verdicts(match, nonmatch, threshold)
    assert ours.accuracy == pytest.approx(accuracy_score(truth, said))
    assert ours.precision == pytest.approx(precision_score(truth, said, zero_division=0))
    assert ours.recall == pytest.approx(recall_score(truth, said))
    assert ours.predicted_matches == said.sum()
    assert auc(match, nonmatch) == pytest.approx(roc_auc_score(truth, -values))


@given(DISTANCES, DISTANCES)
@settings(deadline=None)
def test_no_threshold_is_more_accurate_than_the_chosen_one(match, nonmatch):
    chosen = verdicts(match, nonmatch, best_threshold(match, nonmatch)).accuracy
    every = np.unique(np.concatenate([match, nonmatch]))
    assert chosen == pytest.approx(max(verdicts(match, nonmatch, t).accuracy for t in every))


def test_the_chosen_threshold_lies_midway():
    assert best_threshold(np.array([0.1, 0.2]), np.array([0.6, 0.9])) == pytest.approx(0.4)
    assert best_threshold(np.array([0.5]), np.array([0.5])) == 0.5


@pytest.mark.parametrize("function", [auc, best_threshold, lambda m, n: verdicts(m, n, 0.5)])
def test_one_side_alone_is_refused(function):
    with pytest.raises(ValueError, match="at least one"):
        function(np.array([]), np.array([0.5]))
    with pytest.raises(ValueError, match="at least one"):
        function(np.array([0.5]), np.array([]))
