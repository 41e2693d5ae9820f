"""AP of thousands of resamples of scenes, from detections that were judged and sorted once.

Only hits can lift a precision-recall curve, so a curve is known from its hits and from the false alarms that rank above
each of them. The latter are a matrix product (false alarms of every scene between one hit and the next, times how often
every scene was drawn) and its running sum, the former a sum from the least sure hit to the surest; both are exact, but
for float32. The matrix is sparse, and its product takes one core: the processes of a study would quarrel over more.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from osm.compare.statistics.ranking import Ranking

Floats = NDArray[np.float64]
Floats32 = NDArray[np.float32]

#: Draws that are worked on together: a row of them stays in the processor's cache.
CHUNK = 8192

#: How many steps of recall a figure samples the curve at; None integrates it.
STEPS: dict[str, int | None] = {"area": None, "eleven": 10, "coco": 100}


@dataclass(frozen=True, eq=False)
class _Hits:
    """Hits by falling score: scene (K,), and false alarms of every scene since the hit before, a sparse (K, N)."""

    scene: NDArray[np.int64]
    false: Any


def scene_draws(scenes: int, draws: int, rng: np.random.Generator, truth_counts: NDArray[np.int64]) -> Floats32:
    """How often each scene is drawn, (N, B): N of N with replacement. Draws without any ship are made again.

    Raises:
        ValueError: There is no ship in any scene.
    """
    if truth_counts.sum() == 0:
        raise ValueError("no ship in any scene")
    drawn = rng.multinomial(scenes, np.full(scenes, 1 / scenes), size=draws)
    while (empty := drawn @ truth_counts == 0).any():
        drawn[empty] = rng.multinomial(scenes, np.full(scenes, 1 / scenes), size=int(empty.sum()))
    return np.ascontiguousarray(drawn.T, dtype=np.float32)


def scene_swaps(scenes: int, draws: int, rng: np.random.Generator) -> Floats32:
    """Whether the arms change places in each scene, (N, B) of 0 and 1."""
    return rng.integers(0, 2, (scenes, draws), dtype=np.int8).astype(np.float32)


def resampled_ap(ranking: Ranking, drawn: Floats32, kinds: tuple[str, ...] = ("area",)) -> dict[str, Floats32]:
    """AP of each resample.

    A scene that is drawn twice counts as two scenes whose detections have the same scores.

    Args:
        ranking: The cell's detections.
        drawn: (N, B) how often each scene is drawn.
        kinds: Of ``STEPS``: ``area`` (VOC since 2010), ``eleven`` (VOC 2007), ``coco`` (101 recalls).

    Returns:
        (B,) fractions for each kind. Where a recall falls on a sampled one to the last bit, ``coco`` may take the
        other side than the evaluator, which is worth up to a hundredth of a step in precision.
    """
    hits = _hits(ranking)
    truth = ranking.truth_counts
    made: dict[str, Floats32] = {kind: np.zeros(drawn.shape[1], dtype=np.float32) for kind in kinds}
    for begin in range(0, drawn.shape[1], CHUNK):
        part = slice(begin, begin + CHUNK)
        weights = np.ascontiguousarray(drawn[:, part])
        between = np.asarray(hits.false @ weights)
        _climb_down(
            {kind: values[part] for kind, values in made.items()},
            partial(_between, between),
            partial(_drawn, weights, hits.scene),
            rows=len(hits.scene),
            false=between.sum(axis=0),
            total=_sum(np.bincount(hits.scene, minlength=ranking.scenes), weights),
            truth=_sum(truth, weights),
        )
    return made


def swapped_difference(
    first: Ranking, second: Ranking, swaps: Floats32, kinds: tuple[str, ...] = ("area",)
) -> dict[str, Floats32]:
    """AP of the second arm minus that of the first when the two change places in some scenes, (B,) for each kind.

    Args:
        first: Detections of one arm.
        second: Detections of the other in the same scenes.
        swaps: (N, B) of 0 and 1.
        kinds: As for ``resampled_ap``.
    """
    both = _merged(first, second)
    hits_of = [_hits(both.of(arm), at=both.hits) for arm in (0, 1)]
    scene, arm = both.scene[both.hits], both.arm[both.hits]
    change = hits_of[1].false - hits_of[0].false
    base = [np.asarray(hits.false.sum(axis=1), dtype=np.float32) for hits in hits_of]
    count = [np.bincount(scene[arm == one], minlength=first.scenes) for one in (0, 1)]
    truth = np.float32(first.truth_counts.sum())
    made: dict[str, Floats32] = {kind: np.zeros(swaps.shape[1], dtype=np.float32) for kind in kinds}
    for begin in range(0, swaps.shape[1], CHUNK):
        part = slice(begin, begin + CHUNK)
        swap = np.ascontiguousarray(swaps[:, part])
        keep = 1 - swap
        moved = np.asarray(change @ swap)
        moved_in_all = moved.sum(axis=0)
        for sign, side in ((-1, 0), (1, 1)):
            values: dict[str, Floats32] = {kind: np.zeros(swap.shape[1], dtype=np.float32) for kind in kinds}
            own, other = side, 1 - side
            _climb_down(
                values,
                partial(_moved, base[own], moved, -sign),
                partial(_swapped, keep, swap, scene, arm == own),
                rows=len(scene),
                false=base[own].sum() - sign * moved_in_all,
                total=_sum(count[own], keep) + _sum(count[other], swap),
                truth=np.full(swap.shape[1], truth, dtype=np.float32),
            )
            for kind in kinds:
                made[kind][part] += sign * values[kind]
    return made


def _between(false: Floats32, row: int, out: Floats32) -> Floats32:
    """False alarms since the hit before."""
    return np.asarray(false[row])


def _moved(base: Floats32, moved: Floats32, sign: int, row: int, out: Floats32) -> Floats32:
    """The same when some scenes are swapped; a whole matrix of them would not stay in the cache."""
    change = np.add if sign > 0 else np.subtract
    change(base[row], moved[row], out=out)
    return out


def _drawn(weights: Floats32, scene: NDArray[np.int64], row: int) -> Floats32:
    """How often a hit counts: as often as its scene was drawn."""
    return np.asarray(weights[scene[row]])


def _swapped(keep: Floats32, swap: Floats32, scene: NDArray[np.int64], own: NDArray[np.bool_], row: int) -> Floats32:
    """How often a hit counts for an arm: its own where the scene is kept, the other arm's where it is swapped."""
    return np.asarray((keep if own[row] else swap)[scene[row]])


def _climb_down(
    made: dict[str, Floats32],
    between: Callable[[int, Floats32], Floats32],
    weight: Callable[[int], Floats32],
    *,
    rows: int,
    false: Floats32,
    total: Floats32,
    truth: Floats32,
) -> None:
    """Add up AP from the least sure hit to the surest, for all draws at once; ``made`` is written to.

    Args:
        made: (B,) zeros for each kind.
        between: False alarms between hit k and the hit above it, (B,); takes room to write to.
        weight: How often hit k counts, (B,).
        rows: K, the number of hits.
        false: (B,) false alarms above the last hit.
        total: (B,) all hits.
        truth: (B,) ships.
    """
    hits, above = total.copy(), false.copy()
    envelope, precision, share = np.zeros_like(hits), np.empty_like(hits), np.empty_like(hits)
    per_truth = 1 / truth
    sampled = {kind: np.float32(steps) * per_truth for kind in made if (steps := STEPS[kind])}
    reached = {kind: np.floor(hits * scale + np.float32(1e-4)) for kind, scale in sampled.items()}
    for row in range(rows - 1, -1, -1):
        drawn = weight(row)
        np.add(hits, above, out=precision)
        np.maximum(precision, 1, out=precision)  # 0 of 0 is 0
        np.divide(hits, precision, out=precision)
        np.maximum(envelope, precision, out=envelope)
        if "area" in made:
            np.multiply(envelope, drawn, out=share)
            made["area"] += share
        hits -= drawn
        above -= between(row, share)
        for kind, scale in sampled.items():
            np.multiply(hits, scale, out=share)
            share += np.float32(1e-4)
            np.floor(share, out=share)
            reached[kind] -= share
            reached[kind] *= envelope
            made[kind] += reached[kind]
            reached[kind][:] = share
    if "area" in made:
        made["area"] *= per_truth
    for kind in sampled:
        # the recall of 0 is met by whatever is best
        made[kind] += envelope
        made[kind] /= np.float32(STEPS[kind] or 0) + 1


def _hits(ranking: Ranking, at: NDArray[np.int64] | None = None) -> _Hits:
    """Hits and the false alarms between them, or between the places ``at`` of the ranking."""
    from scipy.sparse import csr_array

    rows = np.flatnonzero(ranking.hit) if at is None else at
    alarms = np.flatnonzero(~ranking.hit & (ranking.scene >= 0))
    # the first hit that a false alarm ranks above
    below = np.searchsorted(rows, alarms)
    inside = below < len(rows)
    ones = np.ones(int(inside.sum()), dtype=np.float32)
    false = csr_array((ones, (below[inside], ranking.scene[alarms[inside]])), shape=(len(rows), ranking.scenes))
    return _Hits(ranking.scene[rows], false)


def _sum(counts: NDArray[np.int64], weights: Floats32) -> Floats32:
    """``counts`` (N,) of scenes that each count ``weights`` (N, B) times, (B,)."""
    from scipy.sparse import csr_array

    summed: Floats32 = np.asarray(csr_array(counts[None].astype(np.float32)) @ weights)[0]
    return summed


@dataclass(frozen=True, eq=False)
class _Merged:
    """Detections of two arms in one ranking."""

    scores: Floats
    scene: NDArray[np.int64]
    hit: NDArray[np.bool_]
    arm: NDArray[np.int64]
    truth_counts: NDArray[np.int64]

    @property
    def hits(self) -> NDArray[np.int64]:
        return np.flatnonzero(self.hit)

    def of(self, arm: int) -> Ranking:
        """The whole ranking with the other arm's detections in no scene, so that places stay."""
        return Ranking(self.scores, np.where(self.arm == arm, self.scene, -1), self.hit, self.truth_counts)


def _merged(first: Ranking, second: Ranking) -> _Merged:
    scores = np.concatenate([first.scores, second.scores])
    scene = np.concatenate([first.scene, second.scene])
    arm = np.repeat([0, 1], [len(first.scores), len(second.scores)])
    order = np.lexsort((scene, -scores))
    hit = np.concatenate([first.hit, second.hit])
    return _Merged(scores[order], scene[order], hit[order], arm[order], first.truth_counts)
