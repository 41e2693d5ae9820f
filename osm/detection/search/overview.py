"""A small picture of a scene, drawn while its tiles go by."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from osm.data.tiling import Ints

#: Longest side of an overview.
MOST_PX = 1600


class Overview:
    """Means of square blocks of the scene, black where nothing was measured.

    Args:
        width_px: Of the scene.
        height_px: Of the scene.
        most_px: Longest side of the picture.

    Attributes:
        factor: Side of a block, in pixels of the scene.
    """

    def __init__(self, width_px: int, height_px: int, most_px: int = MOST_PX) -> None:
        self.factor = max(1, -(-max(width_px, height_px) // most_px))
        shape = (-(-height_px // self.factor), -(-width_px // self.factor))
        self._total = np.zeros(shape, dtype=np.float32)
        self._count = np.zeros(shape, dtype=np.float32)

    def add(self, window: Ints, tile: npt.NDArray[np.uint8]) -> None:
        """Take up the pixels of a window; those of overlaps count more often, which changes no mean by much."""
        x1, y1, x2, y2 = (int(value) for value in window)
        rows, columns = np.arange(y1, y2) // self.factor, np.arange(x1, x2) // self.factor
        row_starts = np.flatnonzero(np.diff(rows, prepend=-1))
        column_starts = np.flatnonzero(np.diff(columns, prepend=-1))
        sums = np.add.reduceat(np.add.reduceat(tile.astype(np.float32), row_starts, axis=0), column_starts, axis=1)
        sizes = np.outer(np.diff(row_starts, append=len(rows)), np.diff(column_starts, append=len(columns)))
        place = (slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1))
        self._total[place] += sums
        self._count[place] += sizes

    def pixels(self) -> npt.NDArray[np.uint8]:
        """``(H, W)`` uint8."""
        mean = self._total / np.maximum(self._count, 1)
        return np.asarray(np.rint(mean).astype(np.uint8))
