"""Scenes as tiles: 8-bit pixels that are decoded once, and the windows cut from them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from osm.data.images import read_image
from osm.data.pairs import three_bands
from osm.data.radiometry import Radiometry
from osm.data.scenes import Scene
from osm.data.tiling import boxes_in_window, tile_grid
from osm.detection.recipe import DataSettings
from osm.errors import DataError
from osm.files import atomic_path

Image = npt.NDArray[np.uint8]


class SceneStore:
    """Scenes as 8-bit arrays in a folder, decoded at their first use and mapped from then on.

    Memory is the operating system's page cache, shared between processes; a tile costs one copy of
    its own pixels.

    Args:
        folder: Where the arrays are kept.
        radiometry: How pixels become 8 bits.
    """

    def __init__(self, folder: Path, radiometry: Radiometry) -> None:
        self.folder = folder
        self.radiometry = radiometry

    def pixels(self, scene: Scene) -> Image:
        """The scene as (H, W) uint8, or (H, W, 3) if it is optical, read-only.

        Raises:
            DataError: The image cannot be read, or is not of the size its header gave.
        """
        path = self._path(scene)
        if not path.is_file():
            stored = read_image(scene.image_path)
            if scene.optical:
                image = self.radiometry.apply_colour(three_bands(stored))
            else:
                image = self.radiometry.apply(stored)
            if image.shape[:2] != (scene.height_px, scene.width_px):
                raise DataError(
                    scene.image_path,
                    found=f"{image.shape[1]}×{image.shape[0]} pixels",
                    expected=f"{scene.width_px}×{scene.height_px}",
                    mend="the image changed while it was in use: start again",
                )
            with atomic_path(path) as temporary:
                np.save(temporary, image)
        mapped: Image = np.load(path, mmap_mode="r")
        return mapped

    def _path(self, scene: Scene) -> Path:
        # size and time of the file stand for its content: a changed image gets a new array
        state = scene.image_path.stat()
        how = f"{self.radiometry} colour" if scene.optical else f"{self.radiometry}"
        key = f"{scene.image_path.resolve()} {state.st_size} {state.st_mtime_ns} {how}"
        return self.folder / f"{hashlib.sha256(key.encode()).hexdigest()[:24]}.npy"


@dataclass(frozen=True, eq=False)
class Tile:
    """A window of a scene, with what it shows.

    Attributes:
        scene: The scene.
        window: (4,) x1, y1, x2, y2 in scene pixels.
        boxes: (K, 4) in tile pixels, clipped to the tile.
        ignore: (K,) boxes that count neither way.
    """

    scene: Scene
    window: npt.NDArray[np.int64]
    boxes: npt.NDArray[np.float32]
    ignore: npt.NDArray[np.bool_]


def cut(scenes: Sequence[Scene], settings: DataSettings) -> list[Tile]:
    """All tiles of some scenes, in the order of the scenes, row by row.

    A ship of which less than ``min_visible`` lies in a tile is to be ignored there, not missed.
    """
    tiles = []
    for scene in scenes:
        for window in tile_grid(scene.width_px, scene.height_px, settings.tile_px, settings.overlap_px):
            boxes, index = boxes_in_window(scene.boxes, window, 0.0)
            _, whole = boxes_in_window(scene.boxes, window, settings.min_visible)
            ignore = scene.ignore[index] | ~np.isin(index, whole)
            tiles.append(Tile(scene, window, boxes, ignore))
    return tiles


def training_scenes(scenes: Sequence[Scene], fraction: float, seed: int) -> list[Scene]:
    """A seeded part of the scenes, at least one; a smaller part is a subset of a larger one."""
    order = np.random.default_rng(seed).permutation(len(scenes))
    count = max(1, round(fraction * len(scenes)))
    return [scenes[i] for i in sorted(order[:count])]


def validation_scenes(scenes: Sequence[Scene], fraction: float) -> tuple[list[Scene], list[Scene]]:
    """Scenes to train on, and those that are kept for validation: the same in every run.

    Raises:
        DataError: One of the two parts holds no ship.
    """
    if not fraction:
        return list(scenes), []
    order = np.random.default_rng([0, 1]).permutation(len(scenes))
    count = max(1, round(fraction * len(scenes)))
    parts = [scenes[i] for i in sorted(order[count:])], [scenes[i] for i in sorted(order[:count])]
    for name, part in zip(("train on", "validate on"), parts, strict=True):
        if not any((~scene.ignore).any() for scene in part):
            raise DataError(
                f"data.validation_fraction = {fraction:g} of {len(scenes)} training scenes",
                found=f"{len(part)} scenes to {name}, without a ship",
                expected="ships in both parts",
                mend="choose another data.validation_fraction",
            )
    return parts


def held_back_scenes(scenes: Sequence[Scene], fraction: float, seed: int, count: int) -> list[Scene]:
    """At most ``count`` of the scenes that ``training_scenes`` leaves out; the same for the same seed and fraction."""
    order = np.random.default_rng(seed).permutation(len(scenes))
    taken = max(1, round(fraction * len(scenes)))
    return [scenes[i] for i in sorted(order[taken : taken + count])]


def training_tiles(scenes: Sequence[Scene], settings: DataSettings) -> list[Tile]:
    """Every tile that shows a ship, and a seeded choice of empty ones; of them all ``max_tiles``, if that is set.

    Args:
        scenes: Training scenes, the fraction already taken.
        settings: ``empty_fraction`` empty tiles are added per tile with ships.

    Raises:
        DataError: No tile shows a ship.
    """
    tiles = cut(scenes, settings)
    shown = [tile for tile in tiles if not tile.ignore.all()]
    if not shown:
        raise DataError(
            f"{len(scenes)} training scenes",
            found=f"{len(tiles)} tiles without a ship",
            expected="at least one ship",
            mend="use more scenes (data.train_fraction) or smaller data.min_visible",
        )
    empty = [tile for tile in tiles if len(tile.boxes) == 0]
    count = min(len(empty), round(settings.empty_fraction * len(shown)))
    draw = np.random.default_rng(settings.subset_seed)
    found = shown + [empty[i] for i in sorted(draw.permutation(len(empty))[:count])]
    if not settings.max_tiles:
        return found
    return [found[i] for i in sorted(draw.permutation(len(found))[: settings.max_tiles])]
