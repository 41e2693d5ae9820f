"""Scenes in which two arms disagree most."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from osm.detection.evaluate import judge
from osm.detection.results import FALSE_ALARM, HIT, ImageResult


@dataclass(frozen=True)
class Disagreement:
    """What an arm does better or worse than its baseline in one scene; means over seeds.

    Attributes:
        scene_id: The scene.
        hits: Ships hit more (or fewer) than by the baseline.
        false_alarms: False alarms more (or fewer).
        balance: ``hits`` − ``false_alarms``: above 0 the arm is better here.
        ships: Ships in the scene.
    """

    scene_id: str
    hits: float
    false_alarms: float
    balance: float
    ships: int


def disagreements(
    arm: Mapping[int, Sequence[ImageResult]],
    baseline: Mapping[int, Sequence[ImageResult]],
    *,
    min_score: float = 0.3,
    iou: float = 0.5,
) -> list[Disagreement]:
    """All scenes, those first where the arms are furthest apart: by |balance|, then by scene id.

    Args:
        arm: Results by seed.
        baseline: The same of the other arm; seeds that both have are used.
        min_score: Detections below it are left out.
        iou: As for ``judge``.

    Raises:
        ValueError: The arms share no seed, or were scored on different scenes.
    """
    seeds = sorted(set(arm) & set(baseline))
    if not seeds:
        raise ValueError("no seed that both arms have")
    counts = [({r.image_id: _count(r, min_score, iou) for r in one[seed]}) for one in (arm, baseline) for seed in seeds]
    if any(set(one) != set(counts[0]) for one in counts):
        raise ValueError("the arms were scored on different scenes")
    ships = {result.image_id: int(np.count_nonzero(~result.ignore)) for result in arm[seeds[0]]}
    found = []
    for name in counts[0]:
        ours = np.mean([one[name] for one in counts[: len(seeds)]], axis=0)
        theirs = np.mean([one[name] for one in counts[len(seeds) :]], axis=0)
        hits, alarms = (float(value) for value in ours - theirs)
        found.append(Disagreement(name, hits, alarms, hits - alarms, ships[name]))
    return sorted(found, key=lambda one: (-abs(one.balance), one.scene_id))


def _count(result: ImageResult, min_score: float, iou: float) -> tuple[int, int]:
    kept = result.scores >= min_score
    shown = ImageResult(result.image_id, result.truth, result.ignore, result.boxes[kept], result.scores[kept])
    verdict = judge(shown, iou)
    return int(np.count_nonzero(verdict == HIT)), int(np.count_nonzero(verdict == FALSE_ALARM))
