from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from osm.data.neighbours import Likeness
from osm.data.pairs import PairFolder, SplitRule, read_pairs, split_pairs
from osm.errors import ConfigError, DataError

Mosaic = Callable[..., tuple[Path, np.ndarray]]


def _folder(scenes: list[str] | None, count: int = 10) -> PairFolder:
    names = tuple(f"{number}.png" for number in range(len(scenes) if scenes else count))
    return PairFolder(Path("x"), Path("x/sar"), Path("x/opt"), names, tuple(scenes) if scenes else None)


def test_the_paper_split_is_seeded_complete_and_of_the_asked_size() -> None:
    folder = _folder(None, 1000)
    split = split_pairs(folder)
    assert split.kind == "paper"
    assert len(split.train) == 700
    np.testing.assert_array_equal(np.sort(np.concatenate([split.train, split.test])), np.arange(1000))
    np.testing.assert_array_equal(split.train, split_pairs(folder, SplitRule(seed=0)).train)
    assert (split.train != split_pairs(folder, SplitRule(seed=1)).train).any()
    # drawn evenly, not the first 700: about 150 of the first 500 are in the 300 of the test part
    assert 110 < (split.test < 500).sum() < 190


@pytest.mark.parametrize("seed", range(5))
def test_the_scene_split_keeps_scenes_whole(seed: int) -> None:
    scenes = [name for number, name in enumerate("abcdefghij", start=1) for _ in range(number)]
    folder = _folder(scenes)
    split = split_pairs(folder, SplitRule(seed=seed))
    assert split.kind == "scene"
    assert not {scenes[i] for i in split.train} & {scenes[i] for i in split.test}
    np.testing.assert_array_equal(np.sort(np.concatenate([split.train, split.test])), np.arange(55))
    assert abs(len(split.train) / 55 - 0.7) <= 10 / 55


def test_both_parts_get_a_scene_however_unequal_they_are() -> None:
    split = split_pairs(_folder(["a"] * 99 + ["b"]))
    assert len(split.train) > 0
    assert len(split.test) > 0


def test_auto_takes_the_paper_split_where_there_is_one_scene() -> None:
    assert split_pairs(_folder(["a"] * 8)).kind == "paper"
    assert split_pairs(_folder(["a", "a", "b"]), SplitRule("paper")).kind == "paper"


def test_impossible_splits_are_refused() -> None:
    with pytest.raises(ConfigError, match="auto, paper, scene or blocked"):
        SplitRule("random")
    with pytest.raises(ConfigError, match="train_fraction"):
        SplitRule(train_fraction=70)
    with pytest.raises(ConfigError, match="osm data build-pairs"):
        split_pairs(_folder(None), SplitRule("scene"))
    with pytest.raises(DataError, match="1 pair"):
        split_pairs(_folder(None, 1))


def _overlap(place: np.ndarray, first: np.ndarray, second: np.ndarray) -> int:
    """How many pairs of the two parts show a part of one place; ``place`` is scene, column and row."""
    a, b = place[first][:, None], place[second][None]
    return int(((a[..., 0] == b[..., 0]) & (np.abs(a[..., 1:] - b[..., 1:]) <= 1).all(axis=-1)).sum())


def test_the_blocked_split_never_parts_patches_that_overlap(write_mosaic: Mosaic) -> None:
    root, place = write_mosaic([(4, 3), (3, 3), (2, 4), (3, 2), (1, 1), (1, 1), (2, 2), (2, 3)])
    pairs = read_pairs(root)
    paper = split_pairs(pairs, SplitRule("paper"))
    assert _overlap(place, paper.train, paper.test) > 10
    for seed in range(4):
        split = split_pairs(pairs, SplitRule("blocked", seed=seed), cache=root / "cache")
        assert split.kind == "blocked"
        assert split.components == 8
        assert _overlap(place, split.train, split.test) == 0
        assert abs(len(split.train) / len(pairs) - 0.7) < 0.15
        whole = np.sort(np.concatenate([split.train, split.test, split.seam]))
        np.testing.assert_array_equal(whole, np.arange(len(pairs)))


def test_one_mosaic_is_cut_across_and_its_seam_left_out(write_mosaic: Mosaic) -> None:
    root, place = write_mosaic([(12, 5)])
    split = split_pairs(read_pairs(root), SplitRule("blocked"))
    assert split.components == 1
    assert 5 <= len(split.seam) <= 6  # one line of patches across the shorter side, with or without a corner
    assert len(split.test) == 18
    assert _overlap(place, split.train, split.test) == 0


def test_patches_that_all_overlap_cannot_be_divided(write_mosaic: Mosaic) -> None:
    root, _ = write_mosaic([(2, 2)])
    with pytest.raises(DataError, match="no cut through 4 pairs"):
        split_pairs(read_pairs(root), SplitRule("blocked"))


def test_named_scenes_make_the_test_part_and_unused_ones_are_in_neither() -> None:
    split = split_pairs(_folder(list("aabbccdd")), SplitRule("scene", test_scenes=("b",), unused_scenes=("d",)))
    assert (split.train.tolist(), split.test.tolist(), split.kind) == ([0, 1, 4, 5], [2, 3], "scene")


@pytest.mark.parametrize(
    ("kind", "scenes", "message"),
    [
        ("scene", {"test_scenes": ("x",)}, "'x', which no pair comes from"),
        ("scene", {"unused_scenes": ("a",)}, "0 test scenes and 1 unused"),
        ("paper", {"test_scenes": ("a",)}, "the split 'scene'"),
        ("blocked", {"test_scenes": ("a",)}, "the split 'scene'"),
    ],
)
def test_scenes_that_cannot_be_parted_so_are_refused(
    kind: str, scenes: dict[str, tuple[str, ...]], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        split_pairs(_folder(list("aabb")), SplitRule(kind, **scenes))


def test_a_rule_survives_a_config_file() -> None:
    rule = SplitRule("blocked", 0.6, 3, test_scenes=("a", "b"), likeness=Likeness(corner=0.8))
    assert SplitRule.of(json.loads(json.dumps(asdict(rule)))) == rule
    assert SplitRule.of({}) == SplitRule()
