from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from osm.matching.inspection.arms import Asked, load_arms
from osm.matching.inspection.features import between_arms, between_stages, gather_features, normalise, to_rows
from osm.matching.inspection.tiles import Tile
from osm.matching.preprocess import PairPreprocessor
from osm.transfer.architectures import architecture

NARROW = architecture("darknet-narrow")


@pytest.fixture(scope="module")
def tiles():
    draw = np.random.default_rng(0)
    return [
        Tile(Path(f"{number}.png"), "", draw.integers(0, 256, size, dtype=np.uint8), "none")
        for number, size in enumerate([(64, 64), (64, 96), (32, 64)])
    ]


@pytest.fixture(scope="module")
def features(tiles):
    arms = [*load_arms([Asked("scratch")], NARROW.name, 0), *load_arms([Asked("scratch")], NARROW.name, 1)]
    return {letter: gather_features(arm, tiles, NARROW, seed=0) for letter, arm in zip("AB", arms, strict=True)}


@pytest.mark.parametrize("name", ["resnet18", "darknet-narrow"])
def test_a_tile_is_fed_as_in_pretraining(name):
    known = architecture(name)
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64), dtype=np.uint8)
    prepared = PairPreprocessor(known.mean, known.std, 64)({"sar": torch.from_numpy(pixels)[None]})["sar"]
    torch.testing.assert_close(normalise(pixels, known), prepared.contiguous())


def test_there_is_one_cell_a_block_at_every_stage(features):
    assert list(features["A"]) == list(NARROW.stages)
    assert [values.shape for values in features["A"].values()] == [(12, width) for width in NARROW.channels]


def test_an_arm_is_like_itself_and_like_another_draw_less(features):
    same = between_arms({"A": features["A"], "B": features["A"]}, seed=0)
    assert [one.cka for one in same] == pytest.approx([1] * 6)
    other = between_arms(features, seed=0)
    assert [(one.first, one.second, one.first_stage) for one in other] == [("A", "B", s) for s in NARROW.stages]
    assert all(one.cka < 0.999 for one in other)


def test_stages_are_compared_in_pairs_and_rows_keep_their_order(features):
    inside = between_stages(features, "A", seed=0)
    assert len(inside) == 15
    assert {(one.first, one.second) for one in inside} == {("A", "A")}
    rows = to_rows(between_arms({**features, "C": features["A"]}, seed=0), NARROW.stages)
    assert [name for name, _ in rows] == ["A – B", "A – C", "B – C"]
    assert [one.first_stage for one in rows[1][1]] == list(NARROW.stages)
    assert to_rows([], NARROW.stages) == []
