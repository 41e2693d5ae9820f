"""The one AP evaluator: every engine, every arm and every cell is scored by these functions.

VOC and COCO disagree about the same detections (mmdetection issue 6499): VOC lets a detection claim only the truth
box that it overlaps most, COCO lets it take the next best free one; VOC integrates the curve as it is, COCO samples
it at 101 recalls. Both are reported, always by name.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from osm.data.boxes import iou_matrix
from osm.detection.claims import voc_verdicts
from osm.detection.coco import COCO_IOUS, COCO_RECALLS, judge_coco
from osm.detection.results import FALSE_ALARM, HIT, NOT_COUNTED, ImageResult, Judged

__all__ = [
    "AP",
    "COCO_IOUS",
    "FALSE_ALARM",
    "HIT",
    "NOT_COUNTED",
    "ImageResult",
    "area_under_curve",
    "average_precision",
    "coco_points",
    "curve_of",
    "eleven_points",
    "in_order",
    "interpolate_precision",
    "judge",
    "judge_voc",
    "precision_recall",
]

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class AP:
    """Average precision of one set of images. Fractions in [0, 1]; nan where there is no truth to find.

    Attributes:
        ap50: VOC, IoU 0.5, area under the monotone precision-recall curve.
        ap50_voc07: VOC 2007, IoU 0.5, mean of the precision at recalls 0, 0.1, … 1.
        ap50_coco: COCO, IoU 0.5.
        ap_coco: COCO, mean over IoU 0.50:0.05:0.95.
        truth_count: Truth boxes that are not to be ignored.
        detection_count: Detections, those on ignored boxes included.
        recall: (K,) VOC recall after each counted detection, by falling score.
        precision: (K,) VOC precision at the same places.
    """

    ap50: float
    ap50_voc07: float
    ap50_coco: float
    ap_coco: float
    truth_count: int
    detection_count: int
    recall: Floats
    precision: Floats

    def figures(self) -> dict[str, float]:
        """The figures of a cell by name, without the curve."""
        return {
            "ap50": self.ap50,
            "ap50_voc07": self.ap50_voc07,
            "ap50_coco": self.ap50_coco,
            "ap_coco": self.ap_coco,
            "truth_count": self.truth_count,
            "detection_count": self.detection_count,
        }


def average_precision(results: Sequence[ImageResult], *, max_detections: int = 1000) -> AP:
    """Score detections by VOC's and COCO's rules.

    Detections of equal score are taken by image id, then in the order given, so that the order of ``results`` does
    not matter. Without detections every AP is 0; without truth every AP is nan (null in JSON).

    Args:
        results: One entry an image; ids must differ.
        max_detections: Detections an image that COCO's figures look at, the surest first. COCO itself stops at 100;
            a whole scene of a port holds more ships than that, so the default here is 1000. VOC has no limit.

    Raises:
        ValueError: Two images share an id, or a score or a box is not finite.
    """
    ordered = in_order(results)
    recall, precision = precision_recall(ordered)
    truth_count = _truth_count(ordered)
    coco = _coco_precisions(ordered, max_detections)
    return AP(
        ap50=area_under_curve(recall, precision) if truth_count else float("nan"),
        ap50_voc07=eleven_points(recall, precision) if truth_count else float("nan"),
        ap50_coco=float(coco[0]),
        ap_coco=float(coco.mean()),
        truth_count=truth_count,
        detection_count=sum(len(result.scores) for result in ordered),
        recall=recall,
        precision=precision,
    )


def precision_recall(results: Sequence[ImageResult], iou: float = 0.5) -> tuple[Floats, Floats]:
    """VOC's precision-recall curve, one point a counted detection, by falling score.

    Hits and false alarms as ``judge`` tells them apart.

    Returns:
        Recall (K,) and precision (K,). Recall is nan where there is no truth.
    """
    judged = judge_voc(in_order(results), iou)
    return curve_of(judged.verdict[0], int(judged.truth_counts.sum()))


def curve_of(verdict: NDArray[np.int8], truth_count: int) -> tuple[Floats, Floats]:
    """Recall (K,) and precision (K,) after each counted one of detections (D,) that are sorted by falling score."""
    true = np.cumsum(verdict[verdict != NOT_COUNTED] == HIT)
    precision = true / np.arange(1, len(true) + 1)
    recall = true / truth_count if truth_count else np.full(len(true), np.nan)
    return recall, precision


def judge_voc(results: Sequence[ImageResult], iou: float = 0.5) -> Judged:
    """``judge`` for several images, in the order that decides among equal scores; one threshold, so T = 1."""
    counts = [len(result.scores) for result in results]
    scores = np.concatenate([np.empty(0), *(result.scores.astype(np.float64) for result in results)])
    verdict = voc_verdicts(results, iou)
    order = np.argsort(-scores, kind="stable")
    return Judged(
        image=np.repeat(np.arange(len(results)), counts)[order],
        detection=np.concatenate([np.empty(0, dtype=np.int64), *(np.arange(count) for count in counts)])[order],
        scores=scores[order],
        verdict=verdict[None, order],
        truth_counts=np.array([np.count_nonzero(~result.ignore) for result in results], dtype=np.int64),
    )


def judge(result: ImageResult, iou: float = 0.5) -> NDArray[np.int8]:
    """Tell the hits of one image from its false alarms, by VOC's rule.

    Greedy by score: a detection claims the truth box that it overlaps most, if by at least ``iou``; it is a false
    alarm where that box is already claimed, and is not counted where that box is to be ignored (PASCAL VOC
    development kit; the same rule as ``eval_map`` of mmdetection).

    Returns:
        (N,) ``HIT``, ``FALSE_ALARM`` or ``NOT_COUNTED``, in the order of the detections.
    """
    verdict = np.full(len(result.scores), FALSE_ALARM, dtype=np.int8)
    if len(result.truth) == 0 or len(verdict) == 0:
        return verdict
    # boxes that count come first: where a counted and an ignored box coincide, the counted one is claimed
    rank = np.argsort(result.ignore, kind="stable")
    ignore = result.ignore[rank]
    overlap = iou_matrix(result.boxes, result.truth[rank])
    best = overlap.argmax(axis=1)
    near = overlap.max(axis=1) >= iou
    verdict[near & ignore[best]] = NOT_COUNTED
    order = np.argsort(-result.scores.astype(np.float64), kind="stable")
    claims = order[(near & ~ignore[best])[order]]
    # of all detections that want one box, the surest has it
    _, first = np.unique(best[claims], return_index=True)
    verdict[claims[first]] = HIT
    return verdict


def area_under_curve(recall: Floats, precision: Floats) -> float:
    """Area under the monotone precision-recall curve (VOC since 2010); 0 for an empty curve."""
    envelope = _envelope(precision)
    return float(np.sum(np.diff(recall, prepend=0.0) * envelope))


def eleven_points(recall: Floats, precision: Floats) -> float:
    """Mean of the best precision at recall ≥ 0, 0.1, … 1 (VOC 2007); 0 for an empty curve."""
    return float(np.mean(interpolate_precision(recall, precision, np.arange(11) / 10)))


def coco_points(recall: Floats, precision: Floats) -> float:
    """Mean of the best precision at recall ≥ 0, 0.01, … 1 (COCO); 0 for an empty curve."""
    return float(np.mean(interpolate_precision(recall, precision, COCO_RECALLS)))


def interpolate_precision(recall: Floats, precision: Floats, at: Floats) -> Floats:
    """Best precision at a recall of at least ``at`` (P,); 0 where the curve does not reach it."""
    envelope = np.append(_envelope(precision), 0.0)
    return np.asarray(envelope[np.searchsorted(recall, at, side="left")], dtype=np.float64)


def _envelope(precision: Floats) -> Floats:
    """The smallest falling curve above ``precision``."""
    return np.asarray(np.maximum.accumulate(precision[::-1])[::-1], dtype=np.float64)


def in_order(results: Sequence[ImageResult]) -> list[ImageResult]:
    """By image id: what decides among equal scores must not be the order in which files were read.

    Raises:
        ValueError: Two images share an id, or a score or a box is not finite.
    """
    ordered = sorted(results, key=lambda result: result.image_id)
    for one, other in itertools.pairwise(ordered):
        if one.image_id == other.image_id:
            raise ValueError(f"two images are called {one.image_id!r}")
    if not all(_finite(values) for values in zip(*(_numbers(result) for result in ordered), strict=True)):
        name = next(result.image_id for result in ordered if not all(_finite([one]) for one in _numbers(result)))
        raise ValueError(f"{name}: a box or a score is not finite")
    return ordered


def _numbers(result: ImageResult) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    return result.truth, result.boxes, result.scores


def _finite(values: Sequence[NDArray[Any]]) -> bool:
    return bool(np.isfinite(np.concatenate([one.ravel() for one in values])).all())


def _truth_count(results: Sequence[ImageResult]) -> int:
    return sum(int(np.count_nonzero(~result.ignore)) for result in results)


def _coco_precisions(results: Sequence[ImageResult], max_detections: int) -> Floats:
    """COCO's AP at each of its ten IoUs, area "all"; zeros without detections, nan without truth."""
    judged = judge_coco(results, max_detections=max_detections)
    truth_count = int(judged.truth_counts.sum())
    if truth_count == 0:
        return np.full(len(COCO_IOUS), np.nan)
    return np.array([coco_points(*curve_of(verdict, truth_count)) for verdict in judged.verdict])
