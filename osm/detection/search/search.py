"""Searching one scene: tiles from disk, through a runtime, merged into detections of the scene."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from osm.data.raster import RasterInfo
from osm.data.tiling import Ints, tile_grid
from osm.detection.merge import merge_tiles
from osm.detection.search.overview import Overview
from osm.detection.search.reading import Levels, ReadSettings, SceneReader, read_ahead
from osm.detection.search.runtime import Found, Runtime

#: Batches that the reader may be ahead of the model.
AHEAD = 3

#: Called with what is under way, units done and units in all.
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class SearchSettings:
    """How scenes are searched, beyond what the weights say.

    Attributes:
        score: Least score of a ship that is kept, after merging.
        batch_size: Tiles a call; None for that of the weights.
        overlap_px: Overlap of tiles, at least the longest ship; None for that of the weights.
        read: How values are read.
    """

    score: float = 0.3
    batch_size: int | None = None
    overlap_px: int | None = None
    read: ReadSettings = field(default_factory=ReadSettings)


@dataclass(frozen=True, eq=False)
class Detections:
    """What was found in a scene.

    Attributes:
        info: What the scene's header says.
        levels: How its values became 8 bits.
        boxes: ``(N, 4)`` float32 xyxy in scene pixels, by falling score.
        scores: ``(N,)`` float32.
        tiles: Tiles of the scene.
        empty: Tiles in which nothing was measured, and which were left out.
        overview: A small picture of the scene.
    """

    info: RasterInfo
    levels: Levels
    boxes: npt.NDArray[np.float32]
    scores: npt.NDArray[np.float32]
    tiles: int
    empty: int
    overview: Overview


class _Tiles:
    """The tiles of a scene in batches; what it learns of the scene is there once they have been taken."""

    def __init__(self, runtime: Runtime, path: Path, settings: SearchSettings, progress: Progress) -> None:
        self.runtime, self.path, self.settings, self.progress = runtime, path, settings, progress
        self.overlap_px = runtime.overlap_px if settings.overlap_px is None else settings.overlap_px
        self.windows: Ints = np.empty((0, 4), dtype=np.int64)
        self.info: RasterInfo
        self.levels: Levels
        self.overview: Overview

    def batches(self) -> Iterator[tuple[list[int], npt.NDArray[np.uint8]]]:
        """Numbers of windows, and their pixels ``(N, tile_px, tile_px)``."""
        side, size = self.runtime.tile_px, self.settings.batch_size or self.runtime.batch_size

        def levels(done: int, total: int) -> None:
            self.progress("levels", done, total)

        with SceneReader(self.path, self.runtime.radiometry, self.settings.read, levels) as reader:
            self.info, self.levels = reader.info, reader.levels
            self.overview = Overview(self.info.width_px, self.info.height_px)
            self.windows = tile_grid(self.info.width_px, self.info.height_px, side, self.overlap_px)
            numbers: list[int] = []
            pixels = np.zeros((size, side, side), dtype=np.uint8)
            for number, window in enumerate(self.windows):
                tile = reader.tile(window)
                if tile is None:
                    continue
                self.overview.add(window, tile)
                pixels[len(numbers), : tile.shape[0], : tile.shape[1]] = tile
                numbers.append(number)
                if len(numbers) == size:
                    yield numbers, pixels
                    numbers, pixels = [], np.zeros_like(pixels)
            if numbers:
                yield numbers, pixels[: len(numbers)]


def search_scene(
    runtime: Runtime,
    path: str | Path,
    settings: SearchSettings | None = None,
    progress: Progress = lambda what, done, total: None,
) -> Detections:
    """Find the ships of a scene; memory does not grow with the scene, only with what is found.

    Args:
        runtime: The detector.
        path: The scene, in any format of ``osm.data.raster``.
        settings: How to search.
        progress: Told what is under way.

    Raises:
        DataError: The scene, or a window of it, cannot be read.
    """
    settings = settings or SearchSettings()
    tiles = _Tiles(runtime, Path(path), settings, progress)
    found: dict[int, Found] = {}
    for numbers, pixels in read_ahead(tiles.batches, AHEAD):
        found.update(zip(numbers, runtime.predict(pixels), strict=True))
        progress("search", numbers[-1] + 1, len(tiles.windows))
    nothing = (np.empty((0, 4), dtype=np.float32), np.empty(0, dtype=np.float32))
    each = [found.get(number, nothing) for number in range(len(tiles.windows))]
    boxes, scores = merge_tiles(
        tiles.windows,
        [own for own, _ in each],
        [own for _, own in each],
        iou=runtime.merge_iou,
        overlap_smaller=runtime.merge_smaller,
    )
    kept = scores >= settings.score
    return Detections(
        info=tiles.info,
        levels=tiles.levels,
        boxes=boxes[kept],
        scores=scores[kept],
        tiles=len(tiles.windows),
        empty=len(tiles.windows) - len(found),
        overview=tiles.overview,
    )
