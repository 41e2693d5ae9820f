"""Which pairs train and which judge."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from osm.data.blocks import divide
from osm.data.neighbours import Likeness, find_links
from osm.data.pair_source import Indices, PairSource
from osm.data.parallel import Progress
from osm.errors import ConfigError, DataError

KINDS = ("auto", "paper", "scene", "blocked")


@dataclass(frozen=True)
class SplitRule:
    """How pairs are divided into a training and a test part.

    Attributes:
        kind: ``paper``: drawn at random, as in the papers; neighbouring patches overlap, so it leaks.
            ``scene``: whole scenes are drawn, and none is in both parts. ``blocked``: patches that overlap, as
            their pixels say, are in one part. ``auto``: ``scene`` where a manifest names at least two scenes,
            else ``paper``.
        train_fraction: Part of the pairs for training; ``scene`` comes as close as whole scenes allow.
        seed: Seed of the drawing.
        test_scenes: With ``scene``: the scenes of the test part, by name, in place of a drawing.
        unused_scenes: With ``test_scenes``: scenes in neither part, e.g. since they touch both regions.
        likeness: With ``blocked``: what is taken for an overlap.

    Raises:
        ConfigError: An unknown kind, or a fraction outside (0, 1).
    """

    kind: str = "auto"
    train_fraction: float = 0.7
    seed: int = 0
    test_scenes: tuple[str, ...] = ()
    unused_scenes: tuple[str, ...] = ()
    likeness: Likeness = field(default_factory=Likeness)

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            expected = f"{', '.join(KINDS[:-1])} or {KINDS[-1]}"
            raise ConfigError(f"split {self.kind!r}", found="no such split", expected=expected, mend="correct it")
        if not 0 < self.train_fraction < 1:
            raise ConfigError(
                "train_fraction",
                found=str(self.train_fraction),
                expected="a fraction between 0 and 1",
                mend="correct it",
            )

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> SplitRule:
        """The rule of what ``dataclasses.asdict`` made of one, and a config file perhaps kept."""
        scenes = {name: tuple(values.get(name, ())) for name in ("test_scenes", "unused_scenes")}
        return cls(**{**values, **scenes, "likeness": Likeness(**values.get("likeness", {}))})


@dataclass(frozen=True, eq=False)
class PairSplit:
    """Indices of pairs, in rising order.

    Args:
        train: ``(N,)`` int64.
        test: ``(M,)`` int64, disjoint from ``train``.
        kind: ``paper``, ``scene`` or ``blocked``: how it was drawn.
        components: Of ``blocked``: groups of pairs that hang together by their pixels.
        seam: Of ``blocked``: pairs in neither part, since they overlap with both.
    """

    train: Indices
    test: Indices
    kind: str
    components: int | None = None
    seam: Indices = field(default_factory=lambda: np.zeros(0, dtype=np.int64))


def split_pairs(
    pairs: PairSource,
    rule: SplitRule = SplitRule(),
    *,
    cache: Path | None = None,
    progress: Progress | None = None,
) -> PairSplit:
    """Divide pairs into a training and a test part.

    Args:
        pairs: The pairs.
        rule: How.
        cache: Folder for the overlaps that were found; only ``blocked`` looks for them.
        progress: Called now and then while it looks.

    Raises:
        ConfigError: ``scene`` without scenes, or named scenes that do not fit.
        DataError: Fewer than two pairs; overlaps that leave no part, or that cannot be told apart.
    """
    if len(pairs) < 2:
        raise DataError(pairs.root, found=f"{len(pairs)} pair", expected="at least 2, to split them", mend="add pairs")
    several = pairs.scenes is not None and len(set(pairs.scenes)) > 1
    if rule.kind == "scene" and not several:
        raise ConfigError(
            "split 'scene'",
            found=f"no manifest.csv that names two or more scenes in {pairs.root}",
            expected="the scene of every pair",
            mend="use the split 'paper' or 'blocked', or cut the pairs with osm data build-pairs",
        )
    if rule.test_scenes or rule.unused_scenes:
        return _named(pairs, rule)
    if rule.kind == "blocked":
        return _blocked(pairs, rule, cache, progress)
    drawing = np.random.default_rng(rule.seed)
    if rule.kind == "paper" or not several:
        count = min(max(round(rule.train_fraction * len(pairs)), 1), len(pairs) - 1)
        order = drawing.permutation(len(pairs))
        return PairSplit(np.sort(order[:count]), np.sort(order[count:]), "paper")
    assert pairs.scenes is not None
    ids, member = np.unique(np.asarray(pairs.scenes), return_inverse=True)
    order = drawing.permutation(len(ids))
    sizes = np.cumsum(np.bincount(member)[order])
    # as many scenes as come closest to the fraction, and at least one on each side
    count = int(np.argmin(np.abs(sizes[:-1] - rule.train_fraction * len(pairs)))) + 1
    in_train = np.isin(member, order[:count])
    return PairSplit(np.flatnonzero(in_train), np.flatnonzero(~in_train), "scene")


def _named(pairs: PairSource, rule: SplitRule) -> PairSplit:
    if rule.kind != "scene" or not rule.test_scenes:
        raise ConfigError(
            f"split {rule.kind!r}",
            found=f"{len(rule.test_scenes)} test scenes and {len(rule.unused_scenes)} unused ones",
            expected="the split 'scene' with at least one test scene",
            mend="set data.split='scene', or leave the scenes out",
        )
    assert pairs.scenes is not None
    known = set(pairs.scenes)
    for name in (*rule.test_scenes, *rule.unused_scenes):
        if name not in known:
            raise ConfigError(
                "data.test_scenes and data.unused_scenes",
                found=f"{name!r}, which no pair comes from",
                expected=f"scenes of {pairs.root}, such as {sorted(known)[0]!r}",
                mend="correct the name",
            )
    scenes = np.asarray(pairs.scenes)
    test, unused = (np.isin(scenes, names) for names in (rule.test_scenes, rule.unused_scenes))
    return PairSplit(np.flatnonzero(~test & ~unused), np.flatnonzero(test & ~unused), "scene")


def _blocked(pairs: PairSource, rule: SplitRule, cache: Path | None, progress: Progress | None) -> PairSplit:
    links = find_links(pairs, likeness=rule.likeness, cache=cache, progress=progress)
    parts = divide(len(pairs), links, rule.train_fraction, rule.seed)
    if not len(parts.train) or not len(parts.test):
        raise DataError(
            pairs.root,
            found=f"no cut through {len(pairs)} pairs in {parts.components} overlapping groups that leaves two parts",
            expected="groups of patches that can be told apart",
            mend="use the split 'paper', which leaks, or add pairs of another place",
        )
    return PairSplit(parts.train, parts.test, "blocked", parts.components, parts.seam)
