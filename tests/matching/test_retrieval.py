from __future__ import annotations

from dataclasses import astuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.neighbors import NearestNeighbors

from osm.matching import retrieval as module
from osm.matching.retrieval import chance, nearest, ranks, retrieval


def embeddings(count, seed=0, dimensions=4):
    return np.random.default_rng(seed).random((2, count, dimensions), dtype=np.float32)


def test_a_perfect_network_finds_every_partner_first():
    sar, _ = embeddings(30)
    for found in ranks(sar, sar):
        assert astuple(retrieval(found)) == (1.0, 1.0, 1.0, 1.0, 30)


@pytest.mark.parametrize("count", [1, 7, 200])
def test_a_collapsed_network_is_at_the_level_of_chance(count):
    same = np.full((count, 4), 0.5, np.float32)
    for found in ranks(same, same):
        assert astuple(retrieval(found)) == pytest.approx(astuple(chance(count)))


def test_ranks_by_hand():
    sar = np.array([[0.0], [1.0], [2.0]])
    optical = np.array([[0.4], [0.4], [0.0]])
    to_optical, to_sar = ranks(sar, optical)
    # SAR 0 at 0: optical at .4, .4, 0 → one nearer, one tie; SAR 1 at 1: .6 .6 1 → tie; SAR 2 at 2: last
    np.testing.assert_array_equal(to_optical.mean, [2.5, 1.5, 3.0])
    assert to_optical.recall(1) == pytest.approx((0 + 0.5 + 0) / 3)
    assert to_optical.recall(2) == pytest.approx((0.5 + 1 + 0) / 3)
    # optical 0 at .4: SAR at 0 is nearest; optical 1: SAR 1 second; optical 2 at 0: SAR 2 last
    np.testing.assert_array_equal(to_sar.mean, [1, 2, 3])


def test_one_direction_is_the_other_with_the_roles_changed():
    sar, optical = embeddings(40, seed=3)
    first, second = ranks(sar, optical)
    turned = ranks(optical, sar)
    np.testing.assert_array_equal(first.mean, turned[1].mean)
    np.testing.assert_array_equal(second.mean, turned[0].mean)


def test_blocks_change_nothing(monkeypatch):
    sar, optical = embeddings(37, seed=5)
    whole = [found.mean for found in ranks(sar, optical)], nearest(sar, optical, 4)
    monkeypatch.setattr(module, "_BLOCK", 100)
    parts = [found.mean for found in ranks(sar, optical)], nearest(sar, optical, 4)
    np.testing.assert_array_equal(whole[0], parts[0])
    np.testing.assert_array_equal(whole[1][0], parts[1][0])


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 12), st.integers(0, 2**16), st.integers(1, 3))
def test_the_expected_recall_is_the_mean_over_all_orders_of_a_tie(count, seed, values):
    # few possible values: many ties
    sar, optical = np.random.default_rng(seed).integers(0, values, (2, count, 1)).astype(float)
    found, _ = ranks(sar, optical)
    for k in (1, 5):
        expected = []
        for row in range(count):
            far = np.abs(optical - sar[row])[:, 0]
            nearer, ties = (far < far[row]).sum(), (far == far[row]).sum()
            expected.append(np.mean([nearer + place < k for place in range(ties)]))
        assert found.recall(k) == pytest.approx(np.mean(expected))


def test_the_nearest_are_those_of_scikit_learn():
    queries, gallery = np.random.default_rng(1).random((9, 6)), np.random.default_rng(2).random((50, 6))
    places, squared = nearest(queries, gallery, 5)
    distances, expected = NearestNeighbors(n_neighbors=5, algorithm="brute").fit(gallery).kneighbors(queries)
    np.testing.assert_array_equal(places, expected)
    np.testing.assert_allclose(np.sqrt(squared), distances)


def test_of_equally_near_ones_the_first_come_first_and_a_small_gallery_is_given_whole():
    gallery = np.array([[1.0], [0.0], [1.0], [1.0]])
    assert nearest(np.array([[1.0]]), gallery, 2)[0].tolist() == [[0, 2]]
    assert nearest(np.array([[0.0]]), gallery, 9)[0].tolist() == [[1, 0, 2, 3]]


def test_what_does_not_belong_together_is_refused():
    with pytest.raises(ValueError, match="must be"):
        ranks(np.zeros((3, 2)), np.zeros((4, 2)))
    with pytest.raises(ValueError, match="at least 1"):
        nearest(np.zeros((3, 2)), np.zeros((4, 2)), 0)
