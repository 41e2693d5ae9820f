"""Horizontal boxes: ``(N, 4)`` float32, x1 y1 x2 y2, in continuous pixel coordinates.

Coordinates are edges, not pixel indices: pixel ``i`` covers ``[i, i + 1)``, a box from 2 to 5 is 3 wide, and
nothing anywhere adds one. Coordinates of label files are taken as they are written (see ``osm.data.voc``).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
ArrayLike = npt.ArrayLike
_FARTHEST_PX = 1e9


def as_boxes(boxes: ArrayLike) -> Floats:
    """Boxes as a ``(N, 4)`` float32 array; an empty list becomes ``(0, 4)``."""
    array = np.asarray(boxes, dtype=np.float32)
    return array.reshape(-1, 4)


def are_coordinates(numbers: ArrayLike) -> bool:
    """Whether all numbers can be places in an image: finite, also as float32 and after a sum, which 1e39 is not."""
    return bool((np.abs(np.asarray(numbers, dtype=np.float64)) <= _FARTHEST_PX).all())


def area(boxes: ArrayLike) -> npt.NDArray[np.float64]:
    """Areas in px², ``(N,)``; a box of no or negative extent has none."""
    box = np.asarray(boxes, dtype=np.float64).reshape(-1, 4)
    return np.asarray(np.clip(box[:, 2] - box[:, 0], 0, None) * np.clip(box[:, 3] - box[:, 1], 0, None))


def intersection_matrix(first: ArrayLike, second: ArrayLike) -> npt.NDArray[np.float64]:
    """Areas of intersection in px², ``(N, M)`` of N first and M second boxes."""
    a = np.asarray(first, dtype=np.float64).reshape(-1, 1, 4)
    b = np.asarray(second, dtype=np.float64).reshape(1, -1, 4)
    extent = np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2])
    return np.asarray(np.clip(extent, 0, None).prod(axis=2))


def iou_matrix(first: ArrayLike, second: ArrayLike) -> npt.NDArray[np.float64]:
    """Intersection over union, ``(N, M)``, in [0, 1]; 0 where both boxes have no area."""
    shared = intersection_matrix(first, second)
    union = area(first)[:, None] + area(second)[None, :] - shared
    return np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)


def clip_to_window(boxes: ArrayLike, window: npt.NDArray[Any] | tuple[int, int, int, int]) -> Floats:
    """Boxes cut to a window, in the window's own coordinates.

    Args:
        boxes: ``(N, 4)`` in scene coordinates.
        window: x1, y1, x2, y2 in scene coordinates.

    Returns:
        ``(N, 4)``; a box outside the window comes back without area.
    """
    left, top, right, bottom = (float(value) for value in window)
    moved = as_boxes(boxes) - np.asarray([left, top, left, top], dtype=np.float32)
    limit = np.asarray([right - left, bottom - top, right - left, bottom - top], dtype=np.float32)
    return np.asarray(np.clip(moved, 0, limit))


def overlapping_pairs(boxes: ArrayLike) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Every two boxes that share an area, found by cells of a grid: memory grows with the pairs, not with N².

    Args:
        boxes: ``(N, 4)``.

    Returns:
        Indices ``(P,)`` and ``(P,)`` of two boxes, the first the smaller index, and the area that they share, in px².
    """
    box = np.asarray(boxes, dtype=np.float64).reshape(-1, 4)
    sides = box[:, 2:] - box[:, :2]
    real = np.flatnonzero((sides > 0).all(axis=1))
    none = np.empty(0, dtype=np.int64)
    if len(real) < 2:
        return none, none, np.empty(0)
    cell_px = max(16.0, 2.0 * float(np.median(sides[real])))
    origin = box[real, :2].min(axis=0)
    first = np.floor((box[real, :2] - origin) / cell_px).astype(np.int64)
    spans = np.floor((box[real, 2:] - origin) / cell_px).astype(np.int64) - first + 1
    # each box once for every cell that it touches
    counts = spans.prod(axis=1)
    entry = np.repeat(np.arange(len(real)), counts)
    place = _place_within(counts)
    column, row = first[entry, 0] + place % spans[entry, 0], first[entry, 1] + place // spans[entry, 0]
    order = np.lexsort((entry, column, row))
    owner, column, row = real[entry[order]], column[order], row[order]
    starts = np.flatnonzero(np.diff(row, prepend=-1) | np.diff(column, prepend=-1))
    sizes = np.diff(starts, append=len(owner))
    found: list[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.float64]]] = []
    # as many cells at a time as make about a million pairs
    groups = np.cumsum(sizes.astype(np.float64) ** 2) // 1_000_000
    for group in np.unique(groups):
        chosen = np.flatnonzero(groups == group)
        partners = np.repeat(sizes[chosen], sizes[chosen])
        left = np.repeat(starts[chosen], sizes[chosen] ** 2) + np.repeat(_place_within(sizes[chosen]), partners)
        right = np.repeat(np.repeat(starts[chosen], sizes[chosen]), partners) + _place_within(partners)
        ahead = owner[left] < owner[right]
        left, right = left[ahead], right[ahead]
        a, b = box[owner[left]], box[owner[right]]
        corner = np.maximum(a[:, :2], b[:, :2])
        extent = np.minimum(a[:, 2:], b[:, 2:]) - corner
        # two boxes may meet in several cells: the one of the corner of what they share counts
        cell = np.floor((corner - origin) / cell_px)
        meet = (extent > 0).all(axis=1) & (cell[:, 0] == column[left]) & (cell[:, 1] == row[left])
        found.append((owner[left[meet]], owner[right[meet]], extent[meet].prod(axis=1)))
    first_of, second_of, shared = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return first_of, second_of, shared


def _place_within(counts: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """0, 1, … in each of several groups of the given sizes."""
    ends = np.cumsum(counts)
    return np.asarray(np.arange(int(counts.sum())) - np.repeat(ends - counts, counts), dtype=np.int64)
