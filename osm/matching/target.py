"""Unlabelled SAR tiles of the domain that detectors will work in, mixed into the batches of a pretraining.

Pairs come from one sensor and pixel size, detectors often see others. Tiles of their scenes, two disturbed views
each, keep the SAR branch acquainted with them: statistics of batch norm are shared, and an objective draws the views
of one tile together. Only training scenes may be used; their labels are not looked at.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from mmengine.dist import get_rank, get_world_size
from mmengine.hooks import Hook
from torch import Tensor

from osm.data.images import read_image, to_gray
from osm.data.radiometry import Radiometry
from osm.data.scenes import read_scenes
from osm.errors import ConfigError, DataError
from osm.matching.draws import RowDraws
from osm.matching.settings import Settings, TargetSettings

#: Tells the draw of tiles from the other draws of a step.
_TILES = 7
#: Scenes that are kept decoded: all of a set of small ones, and few enough of large ones.
_KEPT = 1024


class TargetTiles:
    """Draws tiles of training scenes.

    Args:
        root: Folder of the labelled data set; its labels are not used.
        settings: Kind, split and radiometry.
        tile_px: Side of a tile, as the branches see it.
        seed: Seed of the draws.

    Raises:
        DataError: The data set cannot be read, or no scene holds a tile.
    """

    def __init__(self, root: str | Path, settings: TargetSettings, tile_px: int, seed: int) -> None:
        self.root = Path(root)
        scenes = read_scenes(settings.kind, root, settings.split)
        self.scenes = [scene for scene in scenes if min(scene.width_px, scene.height_px) >= tile_px]
        if not self.scenes:
            raise DataError(
                root,
                found=f"{len(scenes)} scenes, none of at least {tile_px}x{tile_px} px",
                expected="scenes that hold a tile",
                mend=f"lower data.size_px from {tile_px}",
            )
        self.settings = settings
        self.tile_px = tile_px
        self.seed = seed
        self.radiometry = Radiometry.parse(settings.radiometry)
        self._pixels = lru_cache(_KEPT)(self._read)

    def facts(self) -> dict[str, Any]:
        """What the tiles come from, in a few JSON values, a digest of the scenes' names included."""
        names = "\n".join(scene.scene_id for scene in self.scenes)
        return {
            "kind": self.settings.kind,
            "root": self.root.resolve().name,
            "split": self.settings.split,
            "scenes": len(self.scenes),
            "scenes_sha256": hashlib.sha256(names.encode()).hexdigest(),
        }

    def draw(self, step: int) -> Tensor:
        """The tiles of a step, which depend on it, the seed and their places in the batch over all processes alone.

        Returns:
            (``settings.tiles``, tile_px, tile_px) uint8.

        Raises:
            DataError: An image cannot be read.
        """
        draws = RowDraws((self.seed, step, 0, _TILES), get_rank(), get_world_size())
        tiles = []
        for which, down, across in draws.uniform(3, self.settings.tiles).T.tolist():
            pixels = self._pixels(int(which * len(self.scenes)))
            top = int(down * (pixels.shape[0] - self.tile_px + 1))
            left = int(across * (pixels.shape[1] - self.tile_px + 1))
            tiles.append(pixels[top : top + self.tile_px, left : left + self.tile_px])
        return torch.from_numpy(np.stack(tiles))

    def _read(self, number: int) -> npt.NDArray[np.uint8]:
        path = self.scenes[number].image_path
        return self.radiometry.apply(to_gray(read_image(path), path))


def target_tiles(settings: Settings, root: Path | None) -> TargetTiles | None:
    """The tiles that a config asks for; None if it asks for none.

    Raises:
        ConfigError: A config with tiles and no folder for them, or the other way round.
        DataError: The data set cannot be read.
    """
    kind = settings.target.kind
    if bool(kind) != (root is not None):
        raise ConfigError(
            "--target-root",
            found=f"target.kind = {kind!r} and {'no folder' if root is None else root}",
            expected="a kind of data set and its folder, or neither",
            mend="give both --set target.kind=… and --target-root …",
        )
    return TargetTiles(root, settings.target, settings.data.size_px, settings.train.seed) if root else None


class TargetHook(Hook):
    """Adds tiles to every batch before it is trained on."""

    priority = "NORMAL"

    def __init__(self, tiles: TargetTiles) -> None:
        self.tiles = tiles

    def before_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None) -> None:
        """Put ``target`` into the batch."""
        if "unreadable" not in data_batch:
            data_batch["target"] = self.tiles.draw(runner.iter)
