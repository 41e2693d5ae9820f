"""What a detection is beside the truth, and where two arms disagree."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from osm.data.boxes import iou_matrix
from osm.detection.evaluate import judge
from osm.detection.results import FALSE_ALARM, HIT, ImageResult

IOU = 0.5


@dataclass(frozen=True, eq=False)
class Place:
    """A box at which to look, and why.

    Attributes:
        box: (4,) xyxy in scene pixels.
        words: What the arms say of it.
    """

    box: npt.NDArray[np.float32]
    words: str


@dataclass(frozen=True, eq=False)
class Shown:
    """The detections of an arm that are sure enough, by scene.

    Attributes:
        result: Truth and those detections.
        known: Whether the scene has a truth at all.
        name: Of the arm, in words.
    """

    result: ImageResult
    known: bool
    name: str


def above(result: ImageResult, score: float) -> ImageResult:
    """The same without the detections that score less."""
    kept = result.scores >= score
    return ImageResult(result.image_id, result.truth, result.ignore, result.boxes[kept], result.scores[kept])


def claims(result: ImageResult, verdict: npt.NDArray[np.int8]) -> npt.NDArray[np.int64]:
    """(N,) place of the truth box that each hit claims; −1 for what is no hit."""
    claimed = np.full(len(verdict), -1, dtype=np.int64)
    if len(result.truth) and len(verdict):
        # as ``judge`` has it: where a box that counts and one to be ignored coincide, the former is claimed
        rank = np.argsort(result.ignore, kind="stable")
        best = rank[iou_matrix(result.boxes, result.truth[rank]).argmax(axis=1)]
        claimed[verdict == HIT] = best[verdict == HIT]
    return claimed


def disagreements(first: Shown, second: Shown | None) -> list[Place]:
    """Where two arms differ; of one arm, where it differs from the truth. From the top of the scene to its foot.

    With truth: ships that one arm alone hits, and false alarms that have no counterpart in the other. Without: what
    one arm alone found. A counterpart overlaps by an IoU of ``IOU``.
    """
    if second is None:
        places = _errors(first) if first.known else []
    elif first.known:
        places = _ships(first, second) + _alarms(first, second) + _alarms(second, first)
    else:
        places = _alone(first, second) + _alone(second, first)
    return sorted(places, key=lambda place: (float(place.box[1]), float(place.box[0])))


def _errors(arm: Shown) -> list[Place]:
    result, hit, alarms = _judged(arm)
    missed = [Place(result.truth[k], f"missed by {arm.name}") for k in np.flatnonzero(~hit & ~result.ignore)]
    return missed + [Place(result.boxes[k], f"false alarm of {arm.name}") for k in alarms]


def _ships(first: Shown, second: Shown) -> list[Place]:
    result, hit, _ = _judged(first)
    _, other, _ = _judged(second)
    return [
        Place(result.truth[k], f"hit by {first.name} only" if hit[k] else f"hit by {second.name} only")
        for k in np.flatnonzero((hit != other) & ~result.ignore)
    ]


def _alarms(arm: Shown, other: Shown) -> list[Place]:
    result, _, alarms = _judged(arm)
    lone = alarms[~_met(result.boxes[alarms], other.result.boxes)]
    return [Place(result.boxes[k], f"false alarm of {arm.name} only") for k in lone]


def _alone(arm: Shown, other: Shown) -> list[Place]:
    boxes = arm.result.boxes
    return [Place(box, f"found by {arm.name} only") for box in boxes[~_met(boxes, other.result.boxes)]]


def _judged(arm: Shown) -> tuple[ImageResult, npt.NDArray[np.bool_], npt.NDArray[np.int64]]:
    """The result, which truth boxes are hit, and which detections are false alarms."""
    verdict = judge(arm.result, IOU)
    hit = np.zeros(len(arm.result.truth), dtype=bool)
    claimed = claims(arm.result, verdict)
    hit[claimed[claimed >= 0]] = True
    return arm.result, hit, np.flatnonzero(verdict == FALSE_ALARM)


def _met(boxes: npt.NDArray[np.float32], others: npt.NDArray[np.float32]) -> npt.NDArray[np.bool_]:
    if not len(boxes) or not len(others):
        return np.zeros(len(boxes), dtype=bool)
    return np.asarray((iou_matrix(boxes, others) >= IOU).any(axis=1))
