"""Weighted boxes fusion: one set of boxes of what several detectors found in the same images.

Source: Solovyev, Wang, Gabruseva, "Weighted boxes fusion: Ensembling boxes from different object detection models",
2021; by the package of its authors. Bao et al. (arXiv 2103.08251) fuse an OSD and an OSM detector by it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from osm.data.boxes import area
from osm.detection.predictions import Predictions, ScenePrediction, TilePrediction
from osm.errors import DataError
from osm.transfer.adapters.base import require

#: The package, and the optional extra that brings it.
PACKAGE, EXTRA = "ensemble_boxes", "fusion"


@dataclass(frozen=True)
class FusionSettings:
    """How boxes are fused; both detectors weigh the same.

    Attributes:
        iou: Boxes are of one ship if their IoU is above this, in (0, 1); the package's own default.
        min_score: Boxes below it are left out first.
    """

    iou: float = 0.55
    min_score: float = 0.0


def fuse_boxes(
    boxes: Sequence[NDArray[Any]],
    scores: Sequence[NDArray[Any]],
    size_px: tuple[int, int],
    settings: FusionSettings,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Fuse what several detectors found in one image.

    Boxes of one ship become their mean, weighted by score; its score is the mean of theirs times the share of the
    detectors that found it, at most 1 (``conf_type="avg"``). What one of two detectors found alone stays where it is
    and has half its score. Boxes are cut to the image; those without area, and those of score 0, carry nothing and
    are left out.

    Args:
        boxes: By detector, (N, 4) xyxy in pixels of the image.
        scores: By detector, (N,), 0 or more.
        size_px: Width and height of the image, by which coordinates are divided, since the package wants [0, 1].
        settings: How.

    Returns:
        Boxes (K, 4) in pixels and scores (K,), by falling score.

    Raises:
        ValueError: A score is below 0.
        EnvironmentProblem: ``ensemble-boxes`` is not installed.
    """
    package = require(PACKAGE, EXTRA)
    unit = np.tile(np.asarray(size_px, dtype=np.float64), 2)
    chosen, sure = [], []
    for own, score in zip(boxes, scores, strict=True):
        if (np.asarray(score) < 0).any():
            raise ValueError(f"a score of {np.min(score):g}")
        cut = np.asarray(own, dtype=np.float64).reshape(-1, 4).clip(0, unit)
        kept = (area(cut) > 0) & (np.asarray(score) > 0)
        chosen.append(cut[kept] / unit)
        sure.append(np.asarray(score, dtype=np.float64)[kept])
    fused, fused_scores, _ = package.weighted_boxes_fusion(
        chosen,
        sure,
        [np.zeros(len(score), dtype=np.int64) for score in sure],
        iou_thr=settings.iou,
        skip_box_thr=settings.min_score,
    )
    return (np.asarray(fused) * unit).astype(np.float32).reshape(-1, 4), np.asarray(fused_scores, dtype=np.float32)


def fuse_predictions(members: Sequence[Predictions], settings: FusionSettings, where: str) -> Predictions:
    """Fuse the predictions of several detectors: tiles with tiles, whole scenes with whole scenes.

    Args:
        members: Of the same scenes and tiles, in any order.
        settings: How.
        where: What is fused, for the error.

    Raises:
        DataError: The detectors searched other images, or other truth lies beside them; or a score is below 0.
        EnvironmentProblem: ``ensemble-boxes`` is not installed.
    """
    first, *others = members
    scenes = [{scene.scene_id: scene for scene in one.scenes} for one in others]
    tiles = [{tile.image_id: tile for tile in one.tiles} for one in others]
    for one in others:
        if len(one.scenes) != len(first.scenes) or len(one.tiles) != len(first.tiles):
            raise _apart(where, f"{len(first.scenes)} and {len(one.scenes)} scenes")
    try:
        return Predictions(
            scenes=tuple(
                _fuse(scene, [own.get(scene.scene_id) for own in scenes], (scene.width_px, scene.height_px), settings)
                for scene in first.scenes
            ),
            tiles=tuple(
                _fuse(tile, [own.get(tile.image_id) for own in tiles], _size(tile), settings) for tile in first.tiles
            ),
        )
    except ValueError as error:
        raise _apart(where, str(error)) from error


def _size(tile: TilePrediction) -> tuple[int, int]:
    x1, y1, x2, y2 = tile.window
    return x2 - x1, y2 - y1


def _fuse(first: Any, others: Sequence[Any], size_px: tuple[int, int], settings: FusionSettings) -> Any:
    name = first.scene_id if isinstance(first, ScenePrediction) else first.image_id
    for other in others:
        if other is None:
            raise ValueError(f"{name} searched by one of them")
        if not (np.array_equal(first.truth, other.truth) and np.array_equal(first.ignore, other.ignore)):
            raise ValueError(f"other ships in {name}")
    every = [first, *others]
    try:
        boxes, scores = fuse_boxes([one.boxes for one in every], [one.scores for one in every], size_px, settings)
    except ValueError as error:
        raise ValueError(f"{error} in {name}") from error
    return replace(first, boxes=boxes, scores=scores)


def _apart(where: str, found: str) -> DataError:
    return DataError(
        where,
        found=found,
        expected="detectors that searched the same scenes, and scores from 0 to 1",
        mend="fuse arms of one comparison whose cells were scored on the same test scenes",
    )
