"""Tiles of a scene at every zoom: which pixels each shows, and how many become one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

TILE_PX = 256


@dataclass(frozen=True)
class Pyramid:
    """A scene in square tiles of ``TILE_PX``.

    At level 0 a pixel of a tile is a pixel of the scene; at level n it is the mean of a square of 2ⁿ × 2ⁿ of them, or
    of what lies within the scene of that square. The highest level shows the scene in one tile. Tiles at the right
    and lower edge are smaller.

    Args:
        width_px: Columns of the scene.
        height_px: Its rows.
    """

    width_px: int
    height_px: int

    @property
    def levels(self) -> int:
        """Number of levels, at least one."""
        return 1 + max(0, (max(self.width_px, self.height_px) - 1) // TILE_PX).bit_length()

    def size(self, level: int) -> tuple[int, int]:
        """Columns and rows of the scene as a level shows it."""
        return -(-self.width_px >> level), -(-self.height_px >> level)

    def window(self, level: int, column: int, row: int) -> tuple[int, int, int, int] | None:
        """The pixels of the scene that a tile shows.

        Returns:
            x1, y1, x2, y2, within the scene and not empty; None where there is no such tile.
        """
        if not 0 <= level < self.levels or column < 0 or row < 0:
            return None
        side = TILE_PX << level
        x1, y1 = column * side, row * side
        if x1 >= self.width_px or y1 >= self.height_px:
            return None
        return x1, y1, min(x1 + side, self.width_px), min(y1 + side, self.height_px)


def box_mean(
    pixels: npt.NDArray[np.uint8],
    factor: int,
    *,
    row_weights: npt.NDArray[Any] | None = None,
    column_weights: npt.NDArray[Any] | None = None,
) -> npt.NDArray[np.uint8]:
    """Mean of every square of ``factor`` × ``factor`` pixels; at the right and lower edge, of what there is.

    Args:
        pixels: ``(H, W)`` or ``(H, W, C)``.
        factor: From 1 to 256.
        row_weights: ``(H,)`` how many rows each row stands for; one if not given.
        column_weights: ``(W,)`` the same of columns.

    Returns:
        ``(ceil(H / factor), ceil(W / factor))``, or with C, rounded.
    """
    height, width = pixels.shape[:2]
    weighted = row_weights is not None or column_weights is not None
    down = np.ones(height) if row_weights is None else np.asarray(row_weights, dtype=np.float64)
    across = np.ones(width) if column_weights is None else np.asarray(column_weights, dtype=np.float64)
    values: npt.NDArray[Any] = pixels.reshape(height, width, -1)
    if weighted:
        values = values * down.astype(np.float32)[:, None, None] * across.astype(np.float32)[:, None]
    # rows first, in 16 bits where they hold 256 pixels: that is most of the time that an overview takes
    sums = _sum(values, factor, np.float64 if weighted else np.uint16)
    sums = _sum(np.swapaxes(sums, 0, 1), factor, np.float64 if weighted else np.uint32).swapaxes(0, 1)
    counts = np.outer(_sum(down, factor, np.float64), _sum(across, factor, np.float64))[..., None]
    means = np.rint(sums / counts).astype(np.uint8)
    return np.ascontiguousarray(means[:, :, 0] if pixels.ndim == 2 else means)


def _sum(values: npt.NDArray[Any], factor: int, dtype: Any) -> npt.NDArray[Any]:
    """Sums of ``factor`` entries along the first axis; the last one of what is left."""
    whole = len(values) // factor * factor
    sums = values[:whole].reshape(-1, factor, *values.shape[1:]).sum(axis=1, dtype=dtype)
    if whole == len(values):
        return np.asarray(sums)
    return np.concatenate([sums, values[whole:].sum(axis=0, dtype=dtype)[None]])
