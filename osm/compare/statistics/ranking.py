"""One cell's detections at one threshold of IoU, judged once: all that resampling of scenes needs.

AP is no mean over scenes, it is a ranking of the detections of all of them. A resample of scenes therefore ranks again;
but it ranks what was judged and sorted before, with each detection counted as often as its scene was drawn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from osm.detection.coco import COCO_IOUS, judge_coco
from osm.detection.evaluate import in_order, judge_voc
from osm.detection.predictions import Predictions
from osm.detection.results import HIT, NOT_COUNTED, ImageResult, Judged


@dataclass(frozen=True, eq=False)
class Ranking:
    """Counted detections, the surest first, and the truth of each scene.

    Attributes:
        scores: (D,) float64, falling.
        scene: (D,) int64, the detection's scene, below N.
        hit: (D,) bool.
        truth_counts: (N,) int64, ships of each scene.
    """

    scores: NDArray[np.float64]
    scene: NDArray[np.int64]
    hit: NDArray[np.bool_]
    truth_counts: NDArray[np.int64]

    @property
    def scenes(self) -> int:
        """Number of scenes, those without truth or detections included."""
        return len(self.truth_counts)


@dataclass(frozen=True, eq=False)
class CellRankings:
    """Every ranking that the figures of one cell are made of, per tile or per scene.

    Attributes:
        scene_ids: (N,) sorted; scenes are counted in this order in every ranking.
        voc: At IoU 0.5 by VOC's rule.
        coco: At COCO's ten IoUs by COCO's rule; empty where they were not asked for.
    """

    scene_ids: tuple[str, ...]
    voc: Ranking
    coco: tuple[Ranking, ...]


def cell_rankings(
    predictions: Predictions, place: str, *, with_coco: bool = True, max_detections: int = 1000
) -> CellRankings:
    """Judge what a cell's detector found, once.

    Args:
        predictions: The cell's predictions.
        place: ``tile`` (each tile judged by itself, and resampled with all others of its scene) or ``scene``.
        with_coco: Whether COCO's ten rankings are wanted.
        max_detections: As in ``average_precision``.
    """
    if place == "scene":
        results = predictions.scene_results()
        owners = {result.image_id: result.image_id for result in results}
    elif place == "tile":
        results = predictions.tile_results()
        owners = {tile.image_id: tile.scene_id for tile in predictions.tiles}
    else:
        raise ValueError(f"place {place!r}, not tile or scene")
    return rankings_of(results, owners, with_coco=with_coco, max_detections=max_detections)


def rankings_of(
    results: Sequence[ImageResult], owners: dict[str, str], *, with_coco: bool = True, max_detections: int = 1000
) -> CellRankings:
    """The same from results of images; ``owners`` names the scene of each image."""
    ordered = in_order(results)
    names = tuple(sorted({owners[result.image_id] for result in ordered}))
    place = {name: index for index, name in enumerate(names)}
    scene = np.array([place[owners[result.image_id]] for result in ordered], dtype=np.int64)
    coco = judge_coco(ordered, COCO_IOUS, max_detections=max_detections) if with_coco else None
    return CellRankings(
        scene_ids=names,
        voc=_ranking(judge_voc(ordered), 0, scene, len(names)),
        coco=tuple(_ranking(coco, level, scene, len(names)) for level in range(len(coco.verdict))) if coco else (),
    )


def _ranking(judged: Judged, level: int, scene: NDArray[np.int64], scenes: int) -> Ranking:
    verdict = judged.verdict[level]
    counted = verdict != NOT_COUNTED
    truth = np.zeros(scenes, dtype=np.int64)
    np.add.at(truth, scene, judged.truth_counts)
    return Ranking(judged.scores[counted], scene[judged.image[counted]], verdict[counted] == HIT, truth)
