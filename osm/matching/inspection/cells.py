"""Which places of a tile are compared: the same in every arm and at every stage, drawn by a seed.

All cells of all stages would not fit into memory, and neighbours say nearly the same.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

#: Side of a block in pixels: what one cell of the last stage covers, so that no two places share a cell there.
BLOCK_PX = 32

Places = npt.NDArray[np.float64]


def draw_places(height_px: int, width_px: int, count: int, draw: np.random.Generator) -> Places:
    """Draw places of a tile, each anywhere in a block of its own.

    Args:
        height_px: Height of the tile, a multiple of ``BLOCK_PX``.
        width_px: Width, likewise.
        count: How many; fewer where the tile has fewer blocks.
        draw: What draws them.

    Returns:
        (k, 2) rows and columns as fractions of height and width, in [0, 1).

    Raises:
        ValueError: A side is no multiple of ``BLOCK_PX``.
    """
    if height_px % BLOCK_PX or width_px % BLOCK_PX or not height_px or not width_px:
        raise ValueError(f"a tile of {width_px}x{height_px} px; both must be multiples of {BLOCK_PX}")
    rows, columns = height_px // BLOCK_PX, width_px // BLOCK_PX
    blocks = np.sort(draw.choice(rows * columns, size=min(count, rows * columns), replace=False))
    corner = np.stack(np.divmod(blocks, columns), axis=1)
    places = (corner + draw.random((len(blocks), 2))) / (rows, columns)
    return np.asarray(np.minimum(places, np.nextafter(1.0, 0.0)))


def take_cells(feature_map: npt.NDArray[np.float32], places: Places) -> npt.NDArray[np.float32]:
    """The channels of a map at some places.

    Args:
        feature_map: (C, h, w), of whatever size the stage has.
        places: (k, 2) of ``draw_places``.

    Returns:
        (k, C).
    """
    height, width = feature_map.shape[1:]
    row, column = (places * (height, width)).astype(np.int64).T
    return np.ascontiguousarray(feature_map[:, row, column].T)
