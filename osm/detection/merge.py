"""Detections of overlapping tiles, merged into one set of detections of the scene.

A tile cuts the ships at its border. What is found there is a stump: it says that there is a ship, and not where the
ship ends. So a stump gives way to any view of the same ship from another tile that reaches beyond the border, however
sure either is; and where no tile shows the ship whole, its parts are put together.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from osm.data.boxes import area, overlapping_pairs

#: A side this near to the border of its tile may be cut off there: pixels, and parts of the box's own side.
NEAR_PX = 2.0
NEAR_STUMP = 0.25
#: Of parts that are put together: nearer, since what they become is seen by no tile.
NEAR_PART = 0.1

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def merge_tiles(
    windows: NDArray[Any],
    boxes: Sequence[NDArray[Any]],
    scores: Sequence[NDArray[Any]],
    *,
    iou: float = 0.5,
    overlap_smaller: float = 0.7,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Move detections from tiles into their scene and keep one per ship.

    1. A stump is a detection near a border of its tile that another tile looks beyond. It is removed if at least
       ``overlap_smaller`` of it lies in a larger detection of another tile that reaches beyond that border, whichever
       is the surer; that one takes over the greater of the two scores.
    2. Parts of a ship that is longer than the overlap, and so whole in no tile, become one box with the greater
       score: each is cut where the other tile goes on, and where both tiles look they agree by at least ``iou``.
    3. What is left is suppressed greedily by score: a kept detection removes every less sure one with an IoU of at
       least ``iou``, and one of another tile also if ``overlap_smaller`` of it lies in the kept one. Within one tile
       that last rule does not act, so that a small ship beside a large one survives as it would without tiling.
    4. Where the view or the joined box that took something's place went itself, and no kept detection that is as sure
       shows ``overlap_smaller`` of it, it comes back, to be suppressed with the rest by rule 3.

    With tiles that overlap by at least the longest ship, and a detector that sees what is there, the result is that
    of one tile over the whole scene. Boxes are clipped to their own tile first (a detector may reach beyond it, into
    padding); what is empty then is dropped, so nothing leaves the scene. Equal scores are taken in the order given.
    Memory grows with the detections and with the pairs of them that overlap.

    Args:
        windows: (T, 4) xyxy of the tiles in scene pixels; all of them, those without detections too, since they say
            where the scene ends.
        boxes: T arrays (Ni, 4) xyxy in pixels of their tile.
        scores: T arrays (Ni,).
        iou: Threshold of non-maximum suppression, in (0, 1].
        overlap_smaller: Threshold for boxes of different tiles, in (0, 1]; above 1 switches the rules 1 and 2 and the
            second half of 3 off.

    Returns:
        Boxes (K, 4) in scene pixels and scores (K,), by falling score.

    Raises:
        ValueError: The three sequences differ in length, or a tile's boxes and scores do.
    """
    if not len(windows) == len(boxes) == len(scores):
        raise ValueError(f"{len(windows)} windows, {len(boxes)} sets of boxes, {len(scores)} sets of scores")
    frames = np.asarray(windows, dtype=np.float64).reshape(-1, 4)
    found = moved, sureness, tile = _to_scene(frames, boxes, scores)
    if overlap_smaller <= 1:
        moved, sureness, tile = _drop_stumps(moved, sureness, tile, frames, overlap_smaller)
        moved, sureness, tile = _join_parts(moved, sureness, tile, frames, iou)
    while True:
        order = np.argsort(-sureness, kind="stable")
        moved, sureness, tile = moved[order], sureness[order], tile[order]
        kept = _suppress(moved, tile, iou, overlap_smaller)
        lost = _lost(found[0], found[1], moved[kept], sureness[kept], iou, overlap_smaller)
        # what rule 3 removes is never lost: each pass brings back others, and there is an end to them
        if overlap_smaller > 1 or not len(lost):
            return moved[kept].astype(np.float32), sureness[kept].astype(np.float32)
        moved, sureness, tile = (
            np.concatenate([pool, every[lost]]) for pool, every in zip((moved, sureness, tile), found, strict=True)
        )


def _to_scene(
    windows: Floats, boxes: Sequence[NDArray[Any]], scores: Sequence[NDArray[Any]]
) -> tuple[Floats, Floats, Ints]:
    """Boxes in scene pixels, their scores and the index of their tile; empty boxes dropped."""
    moved = [np.empty((0, 4))]
    for window, local, score in zip(windows, boxes, scores, strict=True):
        if len(local) != len(score):
            raise ValueError(f"{len(local)} boxes, {len(score)} scores in the tile at {window.tolist()}")
        shifted = np.asarray(local, dtype=np.float64).reshape(-1, 4) + np.tile(window[:2], 2)
        moved.append(np.clip(shifted, np.tile(window[:2], 2), np.tile(window[2:], 2)))
    together = np.concatenate(moved)
    sureness = np.concatenate([np.empty(0), *(np.asarray(score, dtype=np.float64) for score in scores)])
    tile = np.repeat(np.arange(len(windows)), [len(score) for score in scores])
    whole = (together[:, 2] > together[:, 0]) & (together[:, 3] > together[:, 1])
    return together[whole], sureness[whole], tile[whole]


def _cut(boxes: Floats, tile: Ints, windows: Floats, near: float) -> NDArray[np.bool_]:
    """(N, 4): whether the left, upper, right and lower side may be cut off by the tile, and not by the scene."""
    scene = np.concatenate([windows[:, :2].min(axis=0), windows[:, 2:].max(axis=0)])
    inner = (windows != scene)[tile]
    sides = boxes[:, 2:] - boxes[:, :2]
    reach = np.maximum(NEAR_PX, near * np.tile(sides, 2))
    return np.asarray(inner & (np.abs(boxes - windows[tile]) <= reach))


def _beyond(boxes: Floats, borders: Floats) -> NDArray[np.bool_]:
    """(P, 4): whether boxes reach beyond the left, upper, right and lower border of a window."""
    return np.concatenate([boxes[:, :2] < borders[:, :2], boxes[:, 2:] > borders[:, 2:]], axis=1)


def _pairs_of_tiles(boxes: Floats, tile: Ints) -> tuple[Ints, Ints, Floats]:
    """Overlapping boxes of different tiles: two indices and the shared area."""
    first, second, shared = overlapping_pairs(boxes)
    apart = tile[first] != tile[second]
    return first[apart], second[apart], shared[apart]


def _drop_stumps(
    boxes: Floats, scores: Floats, tile: Ints, windows: Floats, overlap_smaller: float
) -> tuple[Floats, Floats, Ints]:
    """Let stumps give way to what shows more of the same ship (rule 1)."""
    if not len(boxes):
        return boxes, scores, tile
    first, second, shared = _pairs_of_tiles(boxes, tile)
    areas = area(boxes)
    swap = areas[first] > areas[second]
    stump, view = np.where(swap, second, first), np.where(swap, first, second)
    cut = _cut(boxes, tile, windows, NEAR_STUMP)
    more = (cut[stump] & _beyond(boxes[view], windows[tile[stump]])).any(axis=1)
    # two parts that each go on where the other is cut are for rule 2
    parts = (cut[view] & _beyond(boxes[stump], windows[tile[view]])).any(axis=1)
    gives_way = more & ~parts & (areas[stump] < areas[view]) & (shared >= overlap_smaller * areas[stump])
    stump, view = stump[gives_way], view[gives_way]
    # of several views a whole one, then the surest that looks most like the stump where the stump's tile ends
    frame = windows[tile[stump]]
    seen = np.stack([np.maximum(boxes[view][:, i], frame[:, i]) for i in (0, 1)], axis=1)
    seen = np.concatenate([seen, np.minimum(boxes[view][:, 2:], frame[:, 2:])], axis=1)
    whole = ~_cut(boxes, tile, windows, 0.0)[view].any(axis=1)
    alike = shared[gives_way] / np.maximum(areas[stump] + area(seen) - shared[gives_way], 1e-9)
    order = np.lexsort((-scores[view] * alike, ~whole, areas[stump]))
    scores = scores.copy()
    gone = np.zeros(len(boxes), dtype=bool)
    # the smallest stumps first, so that a score goes on from view to view
    for small, large in zip(stump[order].tolist(), view[order].tolist(), strict=True):
        if not gone[small]:
            gone[small] = True
            scores[large] = max(scores[large], scores[small])
    return boxes[~gone], scores[~gone], tile[~gone]


def _join_parts(boxes: Floats, scores: Floats, tile: Ints, windows: Floats, iou: float) -> tuple[Floats, Floats, Ints]:
    """Put the parts of ships together that no tile shows whole (rule 2)."""
    cut = _cut(boxes, tile, windows, NEAR_PART) if len(boxes) else np.zeros((0, 4), dtype=bool)
    some = np.flatnonzero(cut.any(axis=1))
    first, second, _ = _pairs_of_tiles(boxes[some], tile[some])
    first, second = some[first], some[second]
    a, b = windows[tile[first]], windows[tile[second]]
    # each is cut at a border that the other goes beyond
    goes_on = (cut[first] & _beyond(boxes[second], a)).any(axis=1)
    goes_on &= (cut[second] & _beyond(boxes[first], b)).any(axis=1)
    first, second, a, b = first[goes_on], second[goes_on], a[goes_on], b[goes_on]
    common = np.concatenate([np.maximum(a[:, :2], b[:, :2]), np.minimum(a[:, 2:], b[:, 2:])], axis=1)
    one, other = _clipped(boxes[first], common), _clipped(boxes[second], common)
    shared = area(np.concatenate([np.maximum(one, other)[:, :2], np.minimum(one, other)[:, 2:]], axis=1))
    agree = shared >= iou * (area(one) + area(other) - shared)
    root = np.arange(len(boxes))
    for i, j in zip(first[agree].tolist(), second[agree].tolist(), strict=True):
        root[_root(root, i)] = _root(root, j)
    groups = np.asarray([_root(root, i) for i in range(len(boxes))], dtype=np.int64)
    if not agree.any():
        return boxes, scores, tile
    # a joined box counts as one of the tile that showed the largest part
    order = np.lexsort((-area(boxes), groups))
    _, start = np.unique(groups[order], return_index=True)
    joined = np.concatenate(
        [np.minimum.reduceat(boxes[order, :2], start), np.maximum.reduceat(boxes[order, 2:], start)], axis=1
    )
    return joined, np.maximum.reduceat(scores[order], start), tile[order][start]


def _root(root: Ints, index: int) -> int:
    while root[index] != index:
        root[index] = root[root[index]]
        index = int(root[index])
    return index


def _clipped(boxes: Floats, windows: Floats) -> Floats:
    return np.concatenate([np.maximum(boxes[:, :2], windows[:, :2]), np.minimum(boxes[:, 2:], windows[:, 2:])], axis=1)


def _lost(boxes: Floats, scores: Floats, kept: Floats, sureness: Floats, iou: float, part: float) -> Ints:
    """Indices of the boxes that no kept one, at least as sure, shares enough with (rule 4)."""
    first, second, shared = overlapping_pairs(np.concatenate([kept, boxes]))
    across = (first < len(kept)) & (second >= len(kept))
    mine, other, shared = first[across], second[across] - len(kept), shared[across]
    smaller = np.minimum(area(kept)[mine], area(boxes)[other])
    same_ship = shared >= iou * (area(kept)[mine] + area(boxes)[other] - shared)
    enough = (same_ship | (shared >= part * smaller)) & (sureness[mine] >= scores[other])
    return np.setdiff1d(np.arange(len(boxes)), other[enough])


def _suppress(boxes: Floats, tile: Ints, iou: float, overlap_smaller: float) -> Ints:
    """Indices of the boxes (by falling score) that no kept box removes (rule 3)."""
    areas = area(boxes)
    surer, other, shared = overlapping_pairs(boxes)
    same_ship = shared >= iou * (areas[surer] + areas[other] - shared)
    stump = (shared >= overlap_smaller * areas[other]) & (tile[surer] != tile[other])
    against = same_ship | stump
    surer, other = surer[against], other[against]
    order = np.argsort(surer, kind="stable")
    surer, other = surer[order], other[order]
    gone = np.zeros(len(boxes), dtype=bool)
    starts = np.searchsorted(surer, np.arange(len(boxes) + 1))
    for index in np.unique(surer).tolist():
        if not gone[index]:
            gone[other[starts[index] : starts[index + 1]]] = True
    return np.flatnonzero(~gone)
