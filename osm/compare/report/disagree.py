"""Scenes in which a matched arm and its baseline disagree most."""

from __future__ import annotations

from dataclasses import dataclass

from osm.compare.breakdown.disagreement import Disagreement, disagreements
from osm.compare.report.certainty import pairs
from osm.compare.report.evidence import Evidence, Key
from osm.compare.report.words import Column, Table, labels, signed_number
from osm.compare.study import Study, is_placebo
from osm.detection.predictions import ScenePrediction
from osm.detection.results import ImageResult

MIN_SCORE = 0.3
MOST_LISTED, MOST_SHOWN = 8, 3

NOTE = (
    f"Of detections with a score of {MIN_SCORE} or more, means over the seeds that both arms have: ships found more "
    "(or fewer) and false alarms more (or fewer) by the first arm than by the second. Scenes are ranked by the "
    f"difference of the two; the first {MOST_LISTED} are listed and the first {MOST_SHOWN} shown."
)


@dataclass(frozen=True)
class Disputed:
    """Scenes of one detector, those first where its arms are furthest apart."""

    detector: str
    arm: str
    baseline: str
    scenes: tuple[Disagreement, ...]


def disputes(study: Study, evidence: dict[Key, Evidence]) -> list[Disputed]:
    """For every detector, the first matched arm against the first baseline that it has a seed in common with."""
    kinds = {arm.name: arm.kind for arm in study.arms}
    asked = sorted(pairs(study), key=lambda pair: kinds[pair[0]] != "osm" or is_placebo(pair[0]))
    found = []
    for detector in study.detectors:
        for arm, baseline in asked:
            ours, theirs = (_by_seed(study, evidence, detector, name) for name in (arm, baseline))
            if set(ours) & set(theirs):
                ranked = disagreements(ours, theirs, min_score=MIN_SCORE)
                scenes = tuple(one for one in ranked[:MOST_LISTED] if one.balance)
                found.append(Disputed(detector, arm, baseline, scenes))
                break
    return found


def disputed_table(study: Study, found: list[Disputed]) -> Table:
    """The scenes as a table."""
    label = labels(study)
    columns = [Column(name, number=False) for name in ("Detector", "Difference", "Scene")]
    columns += [Column(name) for name in ("Ships", "Found", "False alarms", "Balance")]
    lines = [
        (
            one.detector, f"{label[one.arm]} − {label[one.baseline]}", scene.scene_id, str(scene.ships),
            signed_number(scene.hits), signed_number(scene.false_alarms), signed_number(scene.balance),
        )
        for one in found for scene in one.scenes
    ]  # fmt: skip
    return Table(tuple(columns), tuple(lines))


def shown(found: list[Disputed], detector: str, scenes: tuple[ScenePrediction, ...]) -> list[ScenePrediction]:
    """The predictions of the scenes that are shown."""
    by_id = {scene.scene_id: scene for scene in scenes}
    own = next((one.scenes for one in found if one.detector == detector), ())
    return [by_id[one.scene_id] for one in own[:MOST_SHOWN] if one.scene_id in by_id]


def _by_seed(study: Study, evidence: dict[Key, Evidence], detector: str, arm: str) -> dict[int, list[ImageResult]]:
    made = {}
    for seed in study.seeds:
        cell = evidence.get((detector, arm, seed))
        if cell is not None and cell.predictions is not None and cell.predictions.scenes:
            made[seed] = cell.predictions.scene_results()
    return made
