"""Tiles as mmdet wants them, in an order and with flips that depend on the seed alone."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence, Sized
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch
from mmdet.structures import DetDataSample
from mmdet.structures.bbox import HorizontalBoxes
from mmengine.dist import get_dist_info
from mmengine.structures import InstanceData
from torch.utils.data import Dataset, Sampler

from osm.detection.tiles import SceneStore, Tile
from osm.detection.witness import Draws

#: Elements of the dihedral group: 4 quarter turns × mirrored or not.
TURNS = 8


def turn_image(image: npt.NDArray[Any], turn: int) -> npt.NDArray[Any]:
    """Rotate an (H, W) image by ``turn % 4`` quarter turns anticlockwise, after mirroring it for turn ≥ 4."""
    mirrored = image[:, ::-1] if turn >= 4 else image
    return np.rot90(mirrored, turn % 4)


def turn_boxes(boxes: npt.NDArray[np.float32], turn: int, width_px: int, height_px: int) -> npt.NDArray[np.float32]:
    """Move (K, 4) boxes as ``turn_image`` moves the pixels of a ``height_px`` × ``width_px`` image."""
    x1, y1, x2, y2 = boxes.T
    if turn >= 4:
        x1, x2 = width_px - x2, width_px - x1
    for _ in range(turn % 4):
        x1, y1, x2, y2 = y1, width_px - x2, y2, width_px - x1
        width_px, height_px = height_px, width_px
    return np.stack([x1, y1, x2, y2], axis=1)


class TileDataset(Dataset[dict[str, Any]]):
    """Tiles padded to full size, with mmdet's data samples.

    Args:
        tiles: The tiles.
        store: Where their pixels come from.
        tile_px: Side that small tiles are padded to with zeros (no data), right and below.
        draws: Told of every tile that is read, if somebody listens.
    """

    #: What mmengine hands on to whatever draws detections.
    metainfo: ClassVar[dict[str, Any]] = {"classes": ("ship",)}

    def __init__(self, tiles: Sequence[Tile], store: SceneStore, tile_px: int, draws: Draws | None = None) -> None:
        self.tiles = tiles
        self.store = store
        self.tile_px = tile_px
        self.draws = draws

    def __len__(self) -> int:
        return len(self.tiles)

    def __getitem__(self, code: int) -> dict[str, Any]:
        """One tile.

        Args:
            code: ``index × 8 + turn``, so that the sampler decides the augmentation too and no worker
                needs a random state.

        Returns:
            ``inputs`` (3, tile_px, tile_px) uint8, three equal bands unless the scene is optical, and
            ``data_samples``.
        """
        if self.draws is not None:
            self.draws.note(code)
        index, turn = divmod(code, TURNS)
        tile = self.tiles[index]
        x1, y1, x2, y2 = tile.window
        pixels = turn_image(self.store.pixels(tile.scene)[y1:y2, x1:x2], turn)
        boxes = turn_boxes(tile.boxes, turn, x2 - x1, y2 - y1)
        height_px, width_px = pixels.shape[:2]
        padded = np.zeros((self.tile_px, self.tile_px, *pixels.shape[2:]), dtype=np.uint8)
        padded[:height_px, :width_px] = pixels
        bands = torch.from_numpy(padded)
        return {
            "inputs": bands.permute(2, 0, 1) if bands.ndim == 3 else bands.expand(3, -1, -1),
            "data_samples": _sample(boxes, tile.ignore, (height_px, width_px), index),
        }


def _sample(
    boxes: npt.NDArray[np.float32], ignore: npt.NDArray[np.bool_], shape: tuple[int, int], index: int
) -> DetDataSample:
    sample = DetDataSample(
        metainfo={"img_id": index, "ori_shape": shape, "img_shape": shape, "scale_factor": (1.0, 1.0)}
    )
    for name, chosen in (("gt_instances", ~ignore), ("ignored_instances", ignore)):
        instances = InstanceData()
        instances.bboxes = HorizontalBoxes(torch.from_numpy(boxes[chosen].astype(np.float32).reshape(-1, 4)))
        instances.labels = torch.zeros(int(chosen.sum()), dtype=torch.long)
        setattr(sample, name, instances)
    return sample


class TurningSampler(Sampler[int]):
    """Shuffled tiles with a random turn each: the same for the same seed and epoch, whatever the arm.

    Args:
        dataset: Anything with a length.
        seed: Seed of order and turns.
        augment: Whether to turn at all.
    """

    def __init__(self, dataset: Sized, seed: int, augment: bool) -> None:
        self.count = len(dataset)
        self.seed = seed
        self.augment = augment
        self.epoch = 0
        rank, world = get_dist_info()
        self.rank, self.world = int(rank), int(world)

    def set_epoch(self, epoch: int) -> None:
        """Called by mmengine before each epoch."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[int]:
        rng = np.random.default_rng((self.seed, self.epoch))
        order = rng.permutation(self.count)
        turns = rng.integers(0, TURNS, self.count) if self.augment else np.zeros(self.count, dtype=np.int64)
        # every rank gets as many, from the start again where they do not divide
        codes = np.resize(order * TURNS + turns[order], len(self) * self.world)
        return iter(codes[self.rank :: self.world].tolist())

    def __len__(self) -> int:
        return math.ceil(self.count / self.world)
