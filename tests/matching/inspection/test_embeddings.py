from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
import pytest

from osm.data.pairs import read_pairs
from osm.errors import DataError, WeightsError
from osm.matching.inspection.embeddings import PAIRS_A_SCENE, SCENES, choose_pairs, embed_pairs, project, test_part
from osm.matching.matcher import Matcher
from osm.simulate import simulate_pairs
from osm.transfer.export import export_tensors, read_export

own_part = test_part  # not a test


del test_part


@pytest.fixture(scope="module")
def network(finished):
    return finished.work_dir / "bridge_network.safetensors"


@pytest.fixture(scope="module")
def card(network):
    return Matcher.load(network).card


def test_only_pairs_that_the_network_was_not_trained_on_are_shown_where_that_is_known(network, finished, card):
    from osm.files import read_json

    pairs = read_pairs(finished.data_root)
    part = own_part(pairs, card)
    assert len(part) == read_json(finished.work_dir / "metrics.json")["test_matches"]
    found = embed_pairs(network, pairs, seed=0)
    assert (found.chosen.test, found.chosen.of, len(found.names)) == (True, len(part), len(part))
    assert set(found.names) == {pairs.names[index] for index in part.tolist()}
    # the figures of the run itself, since all of the test part is shown
    metrics = read_json(finished.work_dir / "metrics.json")["retrieval"]
    assert found.to_optical.recall_at_1 == pytest.approx(metrics["sar_to_optical"]["recall_at_1"], abs=1e-6)
    assert found.to_sar.median_rank == pytest.approx(metrics["optical_to_sar"]["median_rank"])
    assert found.points.shape == (2, len(part), 2)


def test_of_other_pairs_nothing_is_claimed(network, card, tmp_path):
    simulate_pairs(tmp_path / "other", count=22, seed=2, size_px=64)
    pairs = read_pairs(tmp_path / "other")
    assert own_part(pairs, card) is not None  # the same names: as far as names go, they are the same pairs
    fewer = pairs.select(np.arange(9))
    assert own_part(fewer, card) is None
    assert own_part(pairs, replace(card, config={})) is None
    assert own_part(pairs, replace(card, data={**card.data, "names_and_split_sha256": "0"})) is None
    found = embed_pairs(network, fewer, seed=0)
    assert (found.chosen.test, len(found.names)) == (False, 9)


def test_scenes_share_the_places(finished, card):
    pairs = read_pairs(finished.data_root)
    many = pairs.select(np.arange(600) % len(pairs))
    many = replace(many, scenes=tuple(f"s{number // 60}" for number in range(600)))
    chosen = choose_pairs(many, card)
    assert len(set(chosen.scenes)) == SCENES
    assert {"s0", "s9"} <= set(chosen.scenes)
    assert len(chosen.indices) == SCENES * PAIRS_A_SCENE
    assert all(many.scenes[index] == scene for index, scene in zip(chosen.indices, chosen.scenes, strict=True))
    none = choose_pairs(replace(many, scenes=None), card)
    assert (len(none.indices), none.scenes) == (SCENES * PAIRS_A_SCENE, None)


def test_a_network_that_was_trained_on_the_middle_of_patches_is_shown_the_middle(network, tmp_path):
    tensors, card = read_export(network)
    config = {**card.config, "augment": {**card.config["augment"], "crop_px": 64}}
    changed = replace(card, config=config, matching={**card.matching, "patch_px": 96})
    export_tensors(tmp_path / "crops.safetensors", tensors, changed)
    simulate_pairs(tmp_path / "large", count=8, seed=0, size_px=96)
    pairs = read_pairs(tmp_path / "large")
    found = embed_pairs(tmp_path / "crops.safetensors", pairs, seed=0)
    matcher, all_of_them = Matcher.load(network), list(range(8))
    sar = matcher.embed_sar(pairs.sar_patches(all_of_them)[:, 16:80, 16:80])
    optical = matcher.embed_optical(pairs.optical_patches(all_of_them)[:, 16:80, 16:80])
    np.testing.assert_array_equal(found.points, project(sar, optical, found.perplexity, seed=0)[0])


def test_tsne_repeats_with_its_seed_and_keeps_neighbours():
    draw = np.random.default_rng(0)
    centres = np.repeat(np.eye(8)[:3] * 20, 10, axis=0)
    sar, optical = (centres + 0.1 * draw.standard_normal((30, 8)) for _ in range(2))
    points, divergence = project(sar, optical, 5.0, seed=1)
    again, _ = project(sar, optical, 5.0, seed=1)
    np.testing.assert_array_equal(points, again)
    assert divergence > 0
    flat = points.reshape(60, 2)
    nearest = np.argsort(((flat[:, None] - flat[None]) ** 2).sum(2), axis=1)[:, 1]
    group = np.tile(np.repeat(np.arange(3), 10), 2)
    assert (group[nearest] == group).all()


def test_without_scikit_learn_the_recall_is_still_there(network, finished, monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.manifold", None)
    found = embed_pairs(network, read_pairs(finished.data_root), seed=0)
    assert (found.points, found.divergence) == (None, None)
    assert found.to_optical.candidates == len(found.names)


def test_pairs_that_do_not_fit_are_refused(network, finished, tmp_path):
    with pytest.raises(WeightsError, match="bridge_network"):
        embed_pairs(finished.work_dir / "sar_backbone.safetensors", read_pairs(finished.data_root), seed=0)
    with pytest.raises(DataError, match="3 pairs"):
        embed_pairs(network, read_pairs(finished.data_root).select(np.arange(3)), seed=0)
    simulate_pairs(tmp_path / "large", count=5, seed=0, size_px=96)
    with pytest.raises(DataError, match="patches of 96x96 pixels; expected 64x64"):
        embed_pairs(network, read_pairs(tmp_path / "large"), seed=0)
