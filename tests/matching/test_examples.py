from __future__ import annotations

import numpy as np
import pytest

from osm.matching.evaluate import Embeddings, Evidence
from osm.matching.examples import KINDS, query_examples, spread, verdict_examples


@pytest.fixture
def evidence():
    sar, optical = np.random.default_rng(0).random((2, 40, 3), dtype=np.float32)
    optical[:25] = sar[:25]
    return Evidence.draw(Embeddings(sar, optical), 0)


def test_examples_are_what_they_are_called(evidence):
    examples = verdict_examples(evidence, 0.3, 4)
    for one in examples:
        assert (one.sar == one.optical) == one.kind.match
        assert (one.distance <= 0.3) == one.kind.taken
        sar, optical = evidence.embeddings.sar[one.sar], evidence.embeddings.optical[one.optical]
        assert one.distance == pytest.approx(np.sqrt(((sar - optical) ** 2).mean()), abs=1e-6)
    assert sum({one.kind.name: one.of_kind for one in examples}.values()) == 80
    assert {one.kind for one in examples} == set(KINDS)


def test_they_are_spread_from_the_nearest_to_the_farthest(evidence):
    missed = [one.distance for one in verdict_examples(evidence, 0.3, 4) if one.kind == KINDS[1]]
    far = evidence.match[evidence.match > 0.3]
    assert (missed[0], missed[-1]) == (far.min(), far.max())
    assert missed == sorted(missed)


def test_an_outcome_that_did_not_occur_has_no_example(evidence):
    assert {one.kind.taken for one in verdict_examples(evidence, 1.0, 4)} == {True}


def test_spread_keeps_both_ends():
    assert spread(np.arange(100), 4).tolist() == [0, 33, 66, 99]
    assert spread(np.arange(2), 4).tolist() == [0, 1]


def test_queries_run_from_the_best_to_the_worst_rank(evidence):
    queries = query_examples(evidence, 5)
    assert queries[0].rank == 1
    assert queries[0].found[0] == queries[0].sar
    ranks = [query.rank for query in queries]
    assert ranks == sorted(ranks)
    for query in queries:
        assert list(query.distances) == sorted(query.distances)
        assert (query.sar in query.found) == (query.rank <= 5)
