"""The one AP evaluator: every engine, every arm and every cell is scored by these functions.

VOC and COCO disagree about the same detections (mmdetection issue 6499): VOC lets a detection claim only the truth
box that it overlaps most, COCO lets it take the next best free one; VOC integrates the curve as it is, COCO samples
it at 101 recalls. Both are reported, always by name.
"""

from __future__ import annotations

import contextlib
import io
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from osm.data.boxes import iou_matrix

Floats = NDArray[np.float64]

#: COCO's ten thresholds, 0.50 to 0.95.
COCO_IOUS = np.linspace(0.5, 0.95, 10)

#: What ``judge`` says of a detection.
HIT, FALSE_ALARM, NOT_COUNTED = 1, 0, -1


@dataclass(frozen=True, eq=False)
class ImageResult:
    """Truth and detections of one image (a tile or a whole scene).

    Attributes:
        image_id: Unique among the images that are scored together.
        truth: (M, 4) xyxy in pixels of this image.
        ignore: (M,) bool; True boxes ("difficult") count neither as truth nor, when detected, as false alarm.
        boxes: (N, 4) xyxy detections.
        scores: (N,) the higher the surer; only their order matters.
    """

    image_id: str
    truth: NDArray[Any]
    ignore: NDArray[np.bool_]
    boxes: NDArray[Any]
    scores: NDArray[Any]

    def __post_init__(self) -> None:
        if self.truth.reshape(-1, 4).shape[0] != self.ignore.shape[0]:
            raise ValueError(f"{self.image_id}: {len(self.truth)} truth boxes, {len(self.ignore)} ignore flags")
        if self.boxes.reshape(-1, 4).shape[0] != self.scores.shape[0]:
            raise ValueError(f"{self.image_id}: {len(self.boxes)} boxes, {len(self.scores)} scores")


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
    ordered = _in_order(results)
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
    ordered = _in_order(results)
    truth_count = _truth_count(ordered)
    scores: list[Floats] = [np.empty(0)]
    hits: list[NDArray[np.bool_]] = [np.empty(0, dtype=bool)]
    for result in ordered:
        verdict = judge(result, iou)
        scores.append(result.scores[verdict != NOT_COUNTED].astype(np.float64))
        hits.append(verdict[verdict != NOT_COUNTED] == HIT)
    order = np.argsort(-np.concatenate(scores), kind="stable")
    true = np.cumsum(np.concatenate(hits)[order])
    precision = true / np.arange(1, len(order) + 1)
    recall = true / truth_count if truth_count else np.full(len(order), np.nan)
    return recall, precision


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


def interpolate_precision(recall: Floats, precision: Floats, at: Floats) -> Floats:
    """Best precision at a recall of at least ``at`` (P,); 0 where the curve does not reach it."""
    envelope = np.append(_envelope(precision), 0.0)
    return np.asarray(envelope[np.searchsorted(recall, at, side="left")], dtype=np.float64)


def _envelope(precision: Floats) -> Floats:
    """The smallest falling curve above ``precision``."""
    return np.asarray(np.maximum.accumulate(precision[::-1])[::-1], dtype=np.float64)


def _in_order(results: Sequence[ImageResult]) -> list[ImageResult]:
    """By image id: what decides among equal scores must not be the order in which files were read."""
    ordered = sorted(results, key=lambda result: result.image_id)
    for one, other in itertools.pairwise(ordered):
        if one.image_id == other.image_id:
            raise ValueError(f"two images are called {one.image_id!r}")
    for result in ordered:
        if not all(np.isfinite(values).all() for values in (result.truth, result.boxes, result.scores)):
            raise ValueError(f"{result.image_id}: a box or a score is not finite")
    return ordered


def _truth_count(results: Sequence[ImageResult]) -> int:
    return sum(int(np.count_nonzero(~result.ignore)) for result in results)


def _coco_precisions(results: Sequence[ImageResult], max_detections: int) -> Floats:
    """COCO's AP at each of its ten IoUs, area "all"; zeros without detections, nan without truth."""
    if _truth_count(results) == 0:
        return np.full(len(COCO_IOUS), np.nan)
    if sum(len(result.scores) for result in results) == 0:
        return np.zeros(len(COCO_IOUS))
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    truths: list[dict[str, Any]] = []
    detections: list[dict[str, Any]] = []
    for index, result in enumerate(results, start=1):
        for box, ignore in zip(_xywh(result.truth), result.ignore, strict=True):
            # "crowd" is COCO's word for a region whose detections are not counted
            truths.append(
                {"id": len(truths) + 1, "image_id": index, "category_id": 1, "bbox": box, "area": box[2] * box[3]}
                | {"iscrowd": int(ignore)}
            )
        for box, score in zip(_xywh(result.boxes), result.scores, strict=True):
            detections.append({"image_id": index, "category_id": 1, "bbox": box, "score": float(score)})
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = {
            "info": {},
            "images": [{"id": index} for index in range(1, len(results) + 1)],
            "categories": [{"id": 1, "name": "ship"}],
            "annotations": truths,
        }
        truth.createIndex()
        evaluation = COCOeval(truth, truth.loadRes(detections), "bbox")
        evaluation.params.iouThrs = COCO_IOUS
        evaluation.params.maxDets = [max_detections]
        evaluation.params.areaRng = [[0.0, 1e10]]
        evaluation.params.areaRngLbl = ["all"]
        evaluation.evaluate()
        evaluation.accumulate()
    # (IoU, recall, class, area, detections an image)
    return np.asarray(evaluation.eval["precision"][:, :, 0, 0, 0].mean(axis=1), dtype=np.float64)


def _xywh(boxes: NDArray[Any]) -> list[list[float]]:
    values = boxes.astype(np.float64).reshape(-1, 4)
    return [[float(value) for value in box] for box in np.hstack([values[:, :2], values[:, 2:] - values[:, :2]])]
