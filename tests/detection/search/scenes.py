"""Scenes on disk with ships that can be counted, and a runtime that sees exactly what is there."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import ndimage

rasterio = pytest.importorskip("rasterio", reason="the extra geo is not installed")

UTM = {"crs": "EPSG:32633", "transform": rasterio.Affine(10, 0, 500000, 0, -10, 5800000)}


class SeeingRuntime:
    """Finds bright rectangles; those that a border cuts with a higher score than whole ones."""

    tile_px, overlap_px, radiometry, batch_size, merge_iou, merge_smaller = 64, 24, "none", 3, 0.5, 0.7

    def __init__(self, radiometry: str = "none", least: int = 128) -> None:
        self.radiometry = radiometry
        self.least = least
        self.batches: list[int] = []
        self.tiles: list[np.ndarray] = []

    def predict(self, tiles: np.ndarray) -> Sequence[tuple[np.ndarray, np.ndarray]]:
        assert tiles.dtype == np.uint8
        assert tiles.shape[1:] == (64, 64)
        self.batches.append(len(tiles))
        self.tiles.extend(tiles)
        return [self.one(tile) for tile in tiles]

    def one(self, tile: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        labels, _ = ndimage.label(tile >= self.least)
        slices = ndimage.find_objects(labels)
        boxes = np.asarray([[c.start, r.start, c.stop, r.stop] for r, c in slices], np.float32).reshape(-1, 4)
        cut = ((boxes == 0) | (boxes == 64)).any(axis=1)
        return boxes, np.where(cut, 0.9, 0.5).astype(np.float32)


def ships_in(rng: np.random.Generator, width: int, height: int, count: int = 12) -> np.ndarray:
    """Rectangles of at most 22 px with water between them, in the cells of a grid."""
    cells = [(x, y) for x in range(0, width - 26, 30) for y in range(0, height - 26, 30)]
    chosen = rng.permutation(len(cells))[:count]
    start = np.asarray([cells[i] for i in chosen]) + rng.integers(1, 5, (len(chosen), 2))
    return np.concatenate([start, start + rng.integers(3, 23, (len(chosen), 2))], axis=1).astype(np.float32)


def paint(boxes: np.ndarray, width: int, height: int, dtype: str = "uint8") -> np.ndarray:
    image = np.full((height, width), 10.0)
    for x1, y1, x2, y2 in boxes.astype(int):
        image[y1:y2, x1:x2] = 200.0
    return image.astype(dtype)


def write(path: Path, image: np.ndarray, **profile: Any) -> Path:
    import warnings

    facts = {"driver": "GTiff", "width": image.shape[1], "height": image.shape[0]}
    bands = image[None] if image.ndim == 2 else np.moveaxis(image, -1, 0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with rasterio.open(path, "w", **facts, count=len(bands), dtype=image.dtype, **profile) as file:
            file.write(bands)
    return path


def by_place(boxes: np.ndarray) -> np.ndarray:
    return boxes[np.lexsort(boxes.T)]
