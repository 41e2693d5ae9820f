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


def as_boxes(boxes: ArrayLike) -> Floats:
    """Boxes as a ``(N, 4)`` float32 array; an empty list becomes ``(0, 4)``."""
    array = np.asarray(boxes, dtype=np.float32)
    return array.reshape(-1, 4)


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
