"""COCO's rule of what a detection is, for all images and all thresholds of IoU at once.

The rule is that of pycocotools' ``COCOeval`` for one class (its ``evaluateImg``), with the same arithmetic of boxes, so
that an overlap of exactly a threshold falls on the same side. What is different is the order of work: only pairs of a
detection and a truth box that overlap enough for the lowest threshold are kept, and the n-th surest such detections
of all images are settled in one step.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from osm.detection.results import FALSE_ALARM, HIT, NOT_COUNTED, ImageResult, Judged

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

#: COCO's ten thresholds, 0.50 to 0.95.
COCO_IOUS: Floats = np.linspace(0.5, 0.95, 10, dtype=np.float64)

#: COCO's recalls 0, 0.01, … 1.
COCO_RECALLS: Floats = np.linspace(0.0, 1.0, 101, dtype=np.float64)


def judge_coco(
    results: Sequence[ImageResult],
    ious: Floats = COCO_IOUS,
    *,
    max_detections: int = 1000,
    area_px2: tuple[float, float] = (0.0, float("inf")),
) -> Judged:
    """Tell hits from false alarms by COCO's rule: a detection claims the free truth box that it overlaps most.

    A box to be ignored is COCO's "crowd": its overlap is measured against the detection alone, and it may be claimed
    any number of times. With a range of areas, truth outside it is ignored too (but claimed once only), and so is a
    detection outside it that claims nothing.

    Args:
        results: One entry an image, in the order that decides among equal scores.
        ious: (T,) thresholds, at least one.
        max_detections: Detections an image that are looked at, the surest first.
        area_px2: Least and greatest area of a ship that counts, both included.
    """
    thresholds = np.minimum(np.asarray(ious, dtype=np.float64), 1 - 1e-10)
    image, place, scores, boxes = _detections(results, max_detections)
    owner, truth, crowd = _truth(results)
    low, high = area_px2
    size = (truth[:, 2] - truth[:, 0]) * (truth[:, 3] - truth[:, 1])
    ignore = crowd | (size < low) | (size > high)
    verdict = np.full((len(thresholds), len(scores)), FALSE_ALARM, dtype=np.int8)
    size = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    verdict[:, (size < low) | (size > high)] = NOT_COUNTED
    near = _near(image, boxes, owner, truth, crowd, float(thresholds.min()))
    _claim(verdict, thresholds, near, image, crowd, ignore)
    order = np.argsort(-scores, kind="stable")
    return Judged(
        image=image[order],
        detection=place[order],
        scores=scores[order],
        verdict=verdict[:, order],
        truth_counts=np.bincount(owner[~ignore], minlength=len(results)).astype(np.int64),
    )


def _detections(results: Sequence[ImageResult], most: int) -> tuple[Ints, Ints, Floats, Floats]:
    """Image, place in it, score and box of all detections: by image, in each the surest first."""
    counts = np.array([len(result.scores) for result in results], dtype=np.int64)
    image = np.repeat(np.arange(len(results)), counts)
    scores = _concatenate([result.scores for result in results]).reshape(-1)
    boxes = _concatenate([result.boxes for result in results]).reshape(-1, 4)
    place = _within(counts)
    order = np.lexsort((-scores, image))
    order = order[_within(counts) < most]
    return image[order], place[order], scores[order], boxes[order]


def _truth(results: Sequence[ImageResult]) -> tuple[Ints, Floats, Bools]:
    """Image, box and ignore flag of all truth, by image."""
    owner = np.repeat(np.arange(len(results)), [len(result.ignore) for result in results])
    truth = _concatenate([result.truth for result in results]).reshape(-1, 4)
    crowd = np.concatenate([np.empty(0, dtype=bool), *(result.ignore for result in results)])
    return owner, truth, crowd


def _near(
    image: Ints, boxes: Floats, owner: Ints, truth: Floats, crowd: Bools, least: float
) -> tuple[Ints, Ints, Floats]:
    """Detection, truth box and overlap of every pair of one image that overlaps by at least ``least``."""
    images = int(max(image.max(initial=-1), owner.max(initial=-1))) + 1
    boxes_in, truth_in = np.bincount(image, minlength=images), np.bincount(owner, minlength=images)
    first = np.concatenate([[0], np.cumsum(truth_in)])
    partners = truth_in[image]
    detection = np.repeat(np.arange(len(image)), partners)
    other = np.repeat(first[image], partners) + _within(partners)
    assert len(detection) == int((boxes_in * truth_in).sum())
    # pycocotools keeps boxes as corner and extent, and adds them up again: a last bit may differ from the far corner
    width, height = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    truth_width, truth_height = truth[:, 2] - truth[:, 0], truth[:, 3] - truth[:, 1]
    overlap: Floats = np.ones(len(detection), dtype=np.float64)
    for axis, extent, truth_extent in ((0, width, truth_width), (1, height, truth_height)):
        end = np.minimum((boxes[:, axis] + extent)[detection], (truth[:, axis] + truth_extent)[other])
        overlap *= np.clip(end - np.maximum(boxes[detection, axis], truth[other, axis]), 0, None)
    met = np.flatnonzero(overlap > 0)
    detection, other, overlap = detection[met], other[met], overlap[met]
    alone = (width * height)[detection]
    union = np.where(crowd[other], alone, alone + (truth_width * truth_height)[other] - overlap)
    share = overlap / union
    kept = share >= least
    return detection[kept], other[kept], share[kept]


def _claim(
    verdict: NDArray[np.int8],
    thresholds: Floats,
    pairs: tuple[Ints, Ints, Floats],
    image: Ints,
    crowd: Bools,
    ignore: Bools,
) -> None:
    """Let every detection, the surest of each image first, claim a truth box; write what it is into ``verdict``."""
    detection, other, overlap = pairs
    if not len(detection):
        return
    # of a detection's pairs the last possible one is taken: ignored boxes come before the others, then by overlap
    order = np.lexsort((other, overlap, ~ignore[other], detection))
    detection, other, overlap = detection[order], other[order], overlap[order]
    start = np.flatnonzero(np.diff(detection, prepend=-1))
    near = detection[start]
    length = np.diff(start, append=len(detection))
    # the n-th near detection of every image together
    turn = _within(np.bincount(image[near]))
    enough = overlap >= thresholds[:, None]
    taken = np.zeros((len(thresholds), len(ignore)), dtype=bool)
    rounds = np.argsort(turn, kind="stable")
    ends = np.cumsum(np.bincount(turn))
    for chosen in np.split(rounds, ends[:-1]):
        lengths = length[chosen]
        where = np.repeat(start[chosen], lengths) + _within(lengths)
        free = enough[:, where] & ~taken[:, other[where]]
        begin = np.concatenate([[0], np.cumsum(lengths)[:-1]])
        last = np.maximum.reduceat(np.where(free, where, -1), begin, axis=1)
        level, which = np.nonzero(last >= 0)
        claimed = other[last[level, which]]
        verdict[level, near[chosen[which]]] = np.where(ignore[claimed], NOT_COUNTED, HIT)
        once = ~crowd[claimed]
        taken[level[once], claimed[once]] = True


def _within(counts: Ints) -> Ints:
    """0, 1, … in each of several groups of the given sizes."""
    ends = np.cumsum(counts)
    return np.asarray(np.arange(int(counts.sum())) - np.repeat(ends - counts, counts), dtype=np.int64)


def _concatenate(arrays: Sequence[NDArray[Any]]) -> Floats:
    return np.concatenate([np.empty(0), *(array.reshape(-1).astype(np.float64) for array in arrays)])
