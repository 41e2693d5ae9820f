"""Near duplicates among patch pairs: the same place once more, in another scene or a repeated part of a mosaic."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Vectors = npt.NDArray[np.float16]

_BLOCK = 2048


def near_duplicates(vectors: Vectors, least: float) -> list[tuple[int, int, float]]:
    """Pairs that repeat an earlier one that is kept.

    Args:
        vectors: ``(N, D)`` of ``osm.data.neighbours.describe_whole``; zeros say nothing.
        least: Correlation from which two are near duplicates.

    Returns:
        The later one, the earlier one, and their correlation; in rising order of the later one.
    """
    alike: dict[int, list[tuple[int, float]]] = {}
    for low in range(0, len(vectors), _BLOCK):
        later = vectors[low : low + _BLOCK].astype(np.float32)
        for start in range(0, low + len(later), _BLOCK):
            product = later @ vectors[start : start + _BLOCK].astype(np.float32).T
            for row, column in zip(*(found.tolist() for found in np.nonzero(product >= least)), strict=True):
                if start + column < low + row:
                    alike.setdefault(low + row, []).append((start + column, float(product[row, column])))
    dropped: dict[int, tuple[int, float]] = {}
    for number in sorted(alike):
        kept = [(other, value) for other, value in sorted(alike[number]) if other not in dropped]
        if kept:
            dropped[number] = kept[0]
    return [(number, other, value) for number, (other, value) in dropped.items()]
