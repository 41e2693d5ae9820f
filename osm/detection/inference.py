"""Searching whole scenes with a detector: tiles in, detections of tiles and of scenes out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from mmengine.dataset import pseudo_collate

from osm.compat.device import precision_on
from osm.detection.dataset import TURNS, TileDataset
from osm.detection.merge import merge_tiles
from osm.detection.predictions import Predictions, ScenePrediction, TilePrediction
from osm.detection.recipe import DataSettings, TestSettings
from osm.detection.tiles import SceneStore, Tile, cut

if TYPE_CHECKING:
    from osm.data.scenes import Scene
    from osm.detection.engines import Detector


def predict_tiles(
    model: Detector,
    tiles: Sequence[Tile],
    store: SceneStore,
    data: DataSettings,
    test: TestSettings,
    progress: Callable[[int, int], None],
) -> list[TilePrediction]:
    """Detections of every tile, in tile pixels.

    Args:
        model: A detector; left in evaluation mode.
        tiles: The tiles.
        store: Where their pixels come from.
        data: For the side of a tile, unless ``test`` states another.
        test: For batch size and precision.
        progress: Called with tiles done and tiles in all.
    """
    dataset = TileDataset(tiles, store, test.tiling(data).tile_px)
    device = next(model.parameters()).device
    low = precision_on(test.precision, device.type) == "bfloat16"
    model.eval()
    found: list[TilePrediction] = []
    with (
        torch.inference_mode(),
        torch.autocast(device.type, dtype=torch.bfloat16, enabled=low),
    ):
        for start in range(0, len(tiles), test.batch_size):
            chosen = range(start, min(start + test.batch_size, len(tiles)))
            batch = pseudo_collate([dataset[i * TURNS] for i in chosen])
            samples = model.test_step(batch)
            for i, sample in zip(chosen, samples, strict=True):
                found.append(_tile_prediction(tiles[i], sample.pred_instances))
            progress(len(found), len(tiles))
    return found


def predict_scenes(
    model: Detector,
    scenes: Sequence[Scene],
    store: SceneStore,
    data: DataSettings,
    test: TestSettings,
    progress: Callable[[int, int], None],
) -> Predictions:
    """Detections of every tile, and of every scene after merging its tiles."""
    found = predict_tiles(model, cut(scenes, test.tiling(data)), store, data, test, progress)
    by_scene: dict[str, list[TilePrediction]] = {}
    for tile in found:
        by_scene.setdefault(tile.scene_id, []).append(tile)
    merged = []
    for scene in scenes:
        own = by_scene[scene.scene_id]
        boxes, scores = merge_tiles(
            np.stack([np.asarray(tile.window) for tile in own]),
            [tile.boxes for tile in own],
            [tile.scores for tile in own],
            iou=test.merge_iou,
            overlap_smaller=test.merge_smaller,
        )
        merged.append(
            ScenePrediction(
                scene_id=scene.scene_id,
                image_path=str(scene.image_path),
                width_px=scene.width_px,
                height_px=scene.height_px,
                radiometry=data.radiometry,
                truth=scene.boxes,
                ignore=scene.ignore,
                boxes=boxes,
                scores=scores,
            )
        )
    return Predictions(scenes=tuple(merged), tiles=tuple(found))


def _tile_prediction(tile: Tile, instances: Any) -> TilePrediction:
    boxes: npt.NDArray[Any] = np.asarray(instances.bboxes.float().cpu(), dtype=np.float32).reshape(-1, 4)
    scores = np.asarray(instances.scores.float().cpu(), dtype=np.float32)
    x1, y1, x2, y2 = tile.window
    boxes = boxes.clip(0, np.array([x2 - x1, y2 - y1] * 2, dtype=np.float32))
    # what lies wholly in the padding of a small tile is no detection
    real = (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])
    return TilePrediction(
        scene_id=tile.scene.scene_id,
        window=(int(x1), int(y1), int(x2), int(y2)),
        truth=tile.boxes,
        ignore=tile.ignore,
        boxes=boxes[real],
        scores=scores[real],
    )
