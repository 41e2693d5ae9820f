"""Nested shares of scenes, and curves read."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osm.compare.breakdown.label_fractions import FRACTIONS, epochs_to, nested_subsets

names = st.lists(st.text(min_size=1, max_size=4), min_size=1, max_size=60, unique=True)


@given(names, st.integers(0, 2**32 - 1), st.randoms())
def test_each_share_holds_the_smaller_ones_and_order_does_not_matter(ids, seed, random):
    found = nested_subsets(ids, seed=seed)
    for (_, small), (_, large) in itertools.pairwise(sorted(found.items())):
        assert set(small) <= set(large)
    assert sorted(found[1.0]) == sorted(ids)
    assert min(len(part) for part in found.values()) >= 1
    shuffled = list(ids)
    random.shuffle(shuffled)
    assert nested_subsets(shuffled, seed=seed) == found


def test_sizes_and_seeds():
    ids = [f"{index:03d}" for index in range(928)]
    found = nested_subsets(ids)
    assert [len(found[fraction]) for fraction in FRACTIONS] == [9, 46, 93, 232, 928]
    assert nested_subsets(ids, seed=1)[0.01] != found[0.01]


@pytest.mark.parametrize(("ids", "fractions"), [([], [1.0]), (["a", "a"], [1.0]), (["a"], [0.0]), (["a"], [1.5])])
def test_refuses_nonsense(ids, fractions):
    with pytest.raises(ValueError):
        nested_subsets(ids, fractions)


def test_an_epoch_is_read_between_measured_ones():
    assert epochs_to([1, 2, 4], [0.2, 0.4, 0.8], 0.6) == pytest.approx(3)
    assert epochs_to([1, 2, 4], [0.2, 0.4, 0.8], 0.4) == 2
    assert epochs_to([1, 2, 4], [0.2, math.nan, 0.8], 0.5) == pytest.approx(2.5)
    assert epochs_to([1, 2], [0.5, 0.6], 0.3) == 1
    assert epochs_to([1, 2], [0.5, 0.6], 0.7) is None
    assert epochs_to([], [], 0.7) is None
    # the first time counts, even if AP falls again
    assert epochs_to([1, 2, 3], [0.1, 0.5, 0.2], 0.5) == 2
    with pytest.raises(ValueError):
        epochs_to([2, 1], [0.1, 0.2], 0.1)
