"""Training tiles as files, in the layout that ultralytics reads: ``images/train/*.png`` and ``labels/train/*.txt``."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from osm.detection.tiles import SceneStore, Tile


def label_line(box: npt.NDArray[np.float32], tile_px: int) -> str:
    """A line of a label file: class 0, centre and size as fractions of the tile.

    Args:
        box: (4,) xyxy in pixels, within the tile.
        tile_px: Side of the tile.
    """
    x1, y1, x2, y2 = (float(edge) for edge in box)
    values = ((x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1)
    return "0 " + " ".join(f"{value / tile_px:.9g}" for value in values)


def write_layout(folder: Path, tiles: Sequence[Tile], store: SceneStore, tile_px: int) -> Path:
    """Write tiles and labels, in place of what an interrupted run left there.

    A tile is what the other engine is fed: the 8-bit pixels of the store, zeros to the right of and below the end of
    a scene. There is no word for a box that counts neither way: such boxes are left out, and their pixels are
    background, as they are for mmdet's YOLOv3.

    Args:
        folder: Root of the layout; everything below it is replaced.
        tiles: The tiles, of which the first is ``000000.png``.
        store: Where their pixels come from.
        tile_px: Side that small tiles are padded to.

    Returns:
        The folder of the images.
    """
    shutil.rmtree(folder, ignore_errors=True)
    images, labels = folder / "images" / "train", folder / "labels" / "train"
    for made in (images, labels):
        made.mkdir(parents=True)
    for number, tile in enumerate(tiles):
        x1, y1, x2, y2 = tile.window
        padded = np.zeros((tile_px, tile_px), dtype=np.uint8)
        padded[: y2 - y1, : x2 - x1] = store.pixels(tile.scene)[y1:y2, x1:x2]
        # read once an epoch and deleted soon after: small matters less than quick
        Image.fromarray(padded).save(images / f"{number:06d}.png", compress_level=1)
        lines = [label_line(box, tile_px) for box in tile.boxes[~tile.ignore]]
        (labels / f"{number:06d}.txt").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return images
