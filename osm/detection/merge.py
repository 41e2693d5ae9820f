"""Detections of overlapping tiles, merged into one set of detections of the scene."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from osm.data.boxes import area, intersection_matrix


def merge_tiles(
    windows: NDArray[Any],
    boxes: Sequence[NDArray[Any]],
    scores: Sequence[NDArray[Any]],
    *,
    iou: float = 0.5,
    overlap_smaller: float = 0.7,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Move detections from tiles into their scene and keep one per ship.

    Greedy by score: a kept detection removes every less sure one with an IoU of at least ``iou``, and, if that one
    comes from another tile, also where the intersection is at least ``overlap_smaller`` of the smaller box: a ship
    cut at a seam leaves a stump in one tile whose IoU with the whole ship in the next is small. Within one tile that
    second rule does not act, so that a small ship beside a large one survives as it would without tiling.

    Boxes are clipped to their own tile first (a detector may reach beyond it, into padding); what is empty then is
    dropped, so nothing leaves the scene. Equal scores are taken in the order given.

    Args:
        windows: (T, 4) xyxy of the tiles in scene pixels.
        boxes: T arrays (Ni, 4) xyxy in pixels of their tile.
        scores: T arrays (Ni,).
        iou: Threshold of non-maximum suppression, in (0, 1].
        overlap_smaller: Threshold for boxes of different tiles, in (0, 1]; above 1 switches that rule off.

    Returns:
        Boxes (K, 4) in scene pixels and scores (K,), by falling score.

    Raises:
        ValueError: The three sequences differ in length, or a tile's boxes and scores do.
    """
    if not len(windows) == len(boxes) == len(scores):
        raise ValueError(f"{len(windows)} windows, {len(boxes)} sets of boxes, {len(scores)} sets of scores")
    moved, sureness, tile = _to_scene(np.asarray(windows, dtype=np.float64).reshape(-1, 4), boxes, scores)
    order = np.argsort(-sureness, kind="stable")
    moved, sureness, tile = moved[order], sureness[order], tile[order]
    kept = _suppress(moved, tile, iou, overlap_smaller)
    return moved[kept].astype(np.float32), sureness[kept].astype(np.float32)


def _to_scene(
    windows: NDArray[np.float64], boxes: Sequence[NDArray[Any]], scores: Sequence[NDArray[Any]]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
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


def _suppress(
    boxes: NDArray[np.float64], tile: NDArray[np.int64], iou: float, overlap_smaller: float
) -> NDArray[np.int64]:
    """Indices of the boxes (by falling score) that no kept box removes."""
    areas = area(boxes)
    remaining: NDArray[np.int64] = np.arange(len(boxes))
    kept: list[int] = []
    # one row of the overlap matrix a kept box: memory stays linear however many boxes a scene has
    while len(remaining):
        first, remaining = int(remaining[0]), remaining[1:]
        kept.append(first)
        shared = intersection_matrix(boxes[first : first + 1], boxes[remaining])[0]
        same_ship = shared >= iou * (areas[first] + areas[remaining] - shared)
        stump = shared >= overlap_smaller * np.minimum(areas[first], areas[remaining])
        remaining = remaining[~(same_ship | (stump & (tile[remaining] != tile[first])))]
    return np.asarray(kept, dtype=np.int64)
