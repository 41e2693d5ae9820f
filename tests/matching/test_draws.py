from __future__ import annotations

from collections import Counter

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from osm.matching.draws import RowDraws, derangement, generator, partners

SEEDS = st.integers(0, 2**32)


@given(st.integers(2, 200), SEEDS)
@settings(deadline=None)
def test_a_derangement_is_a_permutation_that_leaves_nothing_in_place(count, seed):
    order = derangement(count, generator(seed))
    assert sorted(order.tolist()) == list(range(count))
    assert not (order == torch.arange(count)).any()


def test_all_derangements_are_equally_likely():
    draw = generator(3)
    seen = Counter(tuple(derangement(4, draw).tolist()) for _ in range(9000))
    assert len(seen) == 9  # there are nine of four items
    assert all(abs(count - 1000) < 150 for count in seen.values())  # 5 standard deviations


@given(st.integers(2, 200), SEEDS)
@settings(deadline=None)
def test_a_partner_is_another_item(count, seed):
    other = partners(count, generator(seed))
    assert other.shape == (count,)
    assert ((other >= 0) & (other < count)).all()
    assert not (other == torch.arange(count)).any()


def test_partners_are_uniform_over_all_others():
    draw = generator(4)
    seen = Counter(int(partners(5, draw)[2]) for _ in range(8000))
    assert set(seen) == {0, 1, 3, 4}
    assert all(abs(count - 2000) < 200 for count in seen.values())


@pytest.mark.parametrize("count", [0, 1])
def test_too_few_items_are_refused(count):
    with pytest.raises(ValueError, match="at least 2"):
        derangement(count, generator(0))
    with pytest.raises(ValueError, match="at least 2"):
        partners(count, generator(0))


def test_a_draw_depends_on_its_key_alone_and_leaves_the_global_state():
    torch.manual_seed(7)
    before = torch.random.get_rng_state()
    first = derangement(50, generator(1, 2, 3))
    assert torch.equal(before, torch.random.get_rng_state())
    torch.manual_seed(8)
    assert torch.equal(first, derangement(50, generator(1, 2, 3)))
    assert not torch.equal(first, derangement(50, generator(1, 3, 2)))
    assert not torch.equal(first, derangement(50, generator(2, 2, 3)))


@given(st.integers(1, 4), st.integers(1, 5), SEEDS)
@settings(deadline=None, max_examples=30)
def test_processes_draw_together_what_one_would(world, count, seed):
    key = (seed, 5)
    alone = RowDraws(key)
    values = alone.uniform(3, world * count)
    words = [own.initial_seed() for own in alone.generators(world * count, "cpu")]
    assert len(set(words)) == world * count
    for rank in range(world):
        shared = RowDraws(key, rank, world)
        assert torch.equal(shared.uniform(3, count), values[:, rank::world])
        assert [own.initial_seed() for own in shared.generators(count, "cpu")] == words[rank::world]
