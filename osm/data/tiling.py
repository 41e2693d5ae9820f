"""Tiles: the windows of a scene that fit the network, and the boxes in them."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from osm.data.boxes import ArrayLike, Floats, area, as_boxes, clip_to_window, intersection_matrix
from osm.errors import ConfigError

Ints = npt.NDArray[np.int64]


def tile_grid(width_px: int, height_px: int, tile_px: int, overlap_px: int) -> Ints:
    """Windows that cover a scene, row by row.

    Neighbours lie ``tile_px - overlap_px`` apart; the last row and the last column are moved inwards so that
    every window is full size, which makes their overlap larger. In an axis where the scene is smaller than a
    tile the window is the scene's extent. Every box of at most ``overlap_px`` lies whole in some window.

    Args:
        width_px: Width of the scene.
        height_px: Height of the scene.
        tile_px: Side of a window.
        overlap_px: Least overlap of neighbours, below ``tile_px``.

    Returns:
        ``(T, 4)`` int64: x1, y1, x2, y2.

    Raises:
        ConfigError: A size below one, or an overlap that is negative or no smaller than the tile.
    """
    for name, value in (("width_px", width_px), ("height_px", height_px), ("tile_px", tile_px)):
        if value < 1:
            raise ConfigError(name, found=str(value), expected="at least 1 pixel", mend="set a positive size")
    if not 0 <= overlap_px < tile_px:
        raise ConfigError(
            "overlap_px",
            found=str(overlap_px),
            expected=f"0 to {tile_px - 1} (below the tile's {tile_px})",
            mend="lower the overlap or enlarge the tile",
        )
    x1 = _starts(width_px, tile_px, overlap_px)
    y1 = _starts(height_px, tile_px, overlap_px)
    top, left = (grid.ravel() for grid in np.meshgrid(y1, x1, indexing="ij"))
    right = np.minimum(left + tile_px, width_px)
    bottom = np.minimum(top + tile_px, height_px)
    return np.stack([left, top, right, bottom], axis=1)


def boxes_in_window(
    boxes: ArrayLike, window: npt.NDArray[Any] | tuple[int, int, int, int], min_visible: float = 0.5
) -> tuple[Floats, Ints]:
    """The boxes that a window shows, clipped to it.

    Args:
        boxes: ``(N, 4)`` in scene coordinates.
        window: x1, y1, x2, y2 in scene coordinates.
        min_visible: Least part of a box's area that must lie in the window, in [0, 1]. A box that only touches
            the window is never in it, not even at 0.

    Returns:
        Local boxes ``(K, 4)`` in window coordinates, and their indices ``(K,)`` in ``boxes``.
    """
    whole = as_boxes(boxes)
    shared = intersection_matrix(whole, np.asarray(window, dtype=np.float64))[:, 0]
    # the tolerance lets a box that is cut exactly at the limit pass in spite of rounding
    index = np.flatnonzero((shared > 0) & (shared >= min_visible * area(whole) * (1 - 1e-6)))
    return clip_to_window(whole[index], window), index


def _starts(length_px: int, tile_px: int, overlap_px: int) -> Ints:
    if length_px <= tile_px:
        return np.zeros(1, dtype=np.int64)
    stride_px = tile_px - overlap_px
    count = -(-(length_px - tile_px) // stride_px) + 1
    return np.minimum(np.arange(count, dtype=np.int64) * stride_px, length_px - tile_px)
