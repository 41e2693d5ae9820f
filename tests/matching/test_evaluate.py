from __future__ import annotations

import numpy as np
import pytest
import torch

from osm.data.pairs import SplitRule
from osm.errors import DataError
from osm.matching.dataset import PairDataset
from osm.matching.distance import distance
from osm.matching.evaluate import Embeddings, embed, evaluate
from osm.matching.network import BridgeNetwork
from osm.matching.preprocess import PairPreprocessor


@pytest.fixture(scope="module")
def network():
    preprocessor = PairPreprocessor((0.0,) * 3, (255.0,) * 3, size_px=64)
    network = BridgeNetwork("darknet-narrow", data_preprocessor=preprocessor)
    network.start()
    return network


def part(root, name):
    return PairDataset(str(root), name, SplitRule("paper"))


def test_distances_are_those_of_the_training(network):
    draw = np.random.default_rng(0)
    sar, optical = draw.random((2, 5, 20), dtype=np.float32)
    order = np.array([1, 2, 3, 4, 0])
    embeddings = Embeddings(sar, optical)
    torch_sar, torch_optical = torch.from_numpy(sar), torch.from_numpy(optical)
    np.testing.assert_allclose(embeddings.distances(), distance(torch_sar, torch_optical), rtol=1e-5)
    np.testing.assert_allclose(embeddings.distances(order), distance(torch_sar, torch_optical[order]), rtol=1e-5)


def test_embedding_does_not_depend_on_the_batch_and_changes_nothing(network, pairs_root):
    before = {name: value.clone() for name, value in network.state_dict().items()}
    network.train()
    whole, single = (embed(network, part(pairs_root, "test"), batch_size=n, workers=0) for n in (7, 1))
    assert whole.sar.shape == whole.optical.shape == (7, 20)
    np.testing.assert_allclose(whole.sar, single.sar, atol=1e-5)
    np.testing.assert_allclose(whole.optical, single.optical, atol=1e-5)
    assert network.training
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())


def test_the_same_seed_gives_the_same_figures(network, pairs_root):
    first, again, other = (
        evaluate(network, part(pairs_root, "train"), part(pairs_root, "test"), batch_size=4, workers=0, seed=seed)
        for seed in (0, 0, 1)
    )
    assert first == again
    assert first.mean_match == other.mean_match
    assert first.mean_nonmatch != other.mean_nonmatch
    assert (first.pairs, first.threshold_pairs, first.fixed.threshold) == (7, 15, 0.38)


def test_an_unreadable_test_patch_is_named(network, own_pairs):
    test = part(own_pairs, "test")
    victim = test.folder.sar_dir / test.folder.names[test.indices[-1]]
    victim.write_bytes(b"")
    with pytest.raises(DataError, match=victim.name):
        embed(network, test, batch_size=4, workers=0)
