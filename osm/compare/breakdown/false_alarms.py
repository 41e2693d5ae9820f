"""False alarms per square kilometre: what an operator pays for a detector."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from osm.detection.claims import voc_verdicts
from osm.detection.predictions import ScenePrediction
from osm.detection.results import FALSE_ALARM, HIT, ImageResult


@dataclass(frozen=True)
class FalseAlarmRate:
    """False alarms at one threshold of score.

    Attributes:
        min_score: Detections below it are left out.
        false_alarms: Their number.
        area_km2: Ground that was searched; None where a pixel size is not known.
        per_km2: Their ratio; None likewise.
        recall: Share of ships that are hit at that threshold; None without ships.
    """

    min_score: float
    false_alarms: int
    area_km2: float | None
    per_km2: float | None
    recall: float | None


def false_alarm_rate(
    scenes: Sequence[ScenePrediction], pixel_m: Mapping[str, float | None], *, min_score: float = 0.5, iou: float = 0.5
) -> FalseAlarmRate:
    """False alarms of whole scenes per km² of them.

    Args:
        scenes: Predictions of whole scenes.
        pixel_m: Ground size of a pixel by scene id; a rate needs it of every scene.
        min_score: Least score that raises an alarm.
        iou: A detection below it is false (VOC's rule).
    """
    sure = [
        ImageResult(scene.scene_id, scene.truth, scene.ignore, scene.boxes[kept], scene.scores[kept])
        for scene in scenes
        for kept in (scene.scores >= min_score,)
    ]
    verdict = voc_verdicts(sure, iou)
    alarms, hits = (int(np.count_nonzero(verdict == kind)) for kind in (FALSE_ALARM, HIT))
    ships = sum(int(np.count_nonzero(~scene.ignore)) for scene in scenes)
    area_km2: float | None = 0.0
    for scene in scenes:
        size_m = pixel_m.get(scene.scene_id)
        known = area_km2 is not None and size_m is not None
        area_km2 = area_km2 + scene.width_px * scene.height_px * size_m**2 / 1e6 if known else None  # type: ignore[operator]
    return FalseAlarmRate(
        min_score=min_score,
        false_alarms=alarms,
        area_km2=area_km2,
        per_km2=alarms / area_km2 if area_km2 else None,
        recall=hits / ships if ships else None,
    )
