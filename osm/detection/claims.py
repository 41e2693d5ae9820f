"""Which truth box each detection of many images claims: all pairs of boxes of an image in one sweep over flat arrays.

An image at a time takes the time of a hundred small arrays; the arithmetic of a single pair is that of
``osm.data.boxes.iou_matrix``, to the last bit.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from osm.data.boxes import area
from osm.detection.results import FALSE_ALARM, HIT, NOT_COUNTED, ImageResult

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

#: Pairs of boxes that are held at a time: a port with a thousand ships and detections is a million by itself.
MOST_PAIRS = 1_000_000


def voc_verdicts(results: Sequence[ImageResult], iou: float = 0.5) -> NDArray[np.int8]:
    """What ``osm.detection.evaluate.judge`` says of each image, one after the other, (D,)."""
    verdict = np.full(sum(len(result.scores) for result in results), FALSE_ALARM, dtype=np.int8)
    done = 0
    for part in _portions(results):
        count = sum(len(result.scores) for result in part)
        verdict[done : done + count] = _verdicts(part, iou)
        done += count
    return verdict


@dataclass(frozen=True, eq=False)
class Nearest:
    """The box of its image that each detection overlaps most, one image after the other.

    Attributes:
        first: (D,) its place in the image, of boxes that are overlapped alike the first; -1 in images without one.
        last: (D,) likewise the last.
        reach: (D,) the IoU; 0 in images without a box.
    """

    first: Ints
    last: Ints
    reach: Floats


def nearest(truth: Sequence[NDArray[Any]], boxes: Sequence[NDArray[Any]]) -> Nearest:
    """What every box of an image overlaps most among the truth of the same image.

    Args:
        truth: (M, 4) of each image.
        boxes: (N, 4) of each image.
    """
    parts = [
        _nearest(truth[begin:end], boxes[begin:end])
        for begin, end in _spans([len(one) * len(other) for one, other in zip(truth, boxes, strict=True)])
    ]
    return Nearest(*(np.concatenate(values) for values in zip(*parts, strict=True)))


def _nearest(truth: Sequence[NDArray[Any]], boxes: Sequence[NDArray[Any]]) -> tuple[Ints, Ints, Floats]:
    found = np.array([len(one) for one in boxes], dtype=np.int64)
    ships = np.array([len(one) for one in truth], dtype=np.int64)
    begin = np.repeat(np.cumsum(ships) - ships, found)
    first, last, reach = np.full(found.sum(), -1), np.full(found.sum(), -1), np.zeros(found.sum())
    with_truth = np.flatnonzero(np.repeat(ships, found))
    if len(with_truth):
        best = _best(flat(boxes), flat(truth), np.repeat(ships, found), begin, with_truth)
        first[with_truth] = best.first - begin[with_truth]
        last[with_truth] = best.last - begin[with_truth]
        reach[with_truth] = best.reach
    return first, last, reach


def _portions(results: Sequence[ImageResult]) -> Iterator[Sequence[ImageResult]]:
    for begin, end in _spans([len(result.scores) * len(result.truth) for result in results]):
        yield results[begin:end]


def _spans(pairs: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Neighbouring images whose pairs of boxes are held at a time; one span at least, which may be empty."""
    begin = held = 0
    for index, own in enumerate(pairs):
        if index > begin and held + own > MOST_PAIRS:
            yield begin, index
            begin, held = index, 0
        held += own
    yield begin, len(pairs)


def _verdicts(results: Sequence[ImageResult], iou: float) -> NDArray[np.int8]:
    found = np.array([len(result.scores) for result in results], dtype=np.int64)
    ships = np.array([len(result.truth) for result in results], dtype=np.int64)
    boxes = flat([result.boxes for result in results])
    truth = flat([result.truth for result in results])
    ignore = np.concatenate([np.empty(0, dtype=bool), *(result.ignore for result in results)])
    # boxes that count come first in their image: where one coincides with an ignored box, it is claimed
    rank = np.lexsort((ignore, np.repeat(np.arange(len(ships)), ships)))
    truth, ignore = truth[rank], ignore[rank]
    verdict = np.full(len(boxes), FALSE_ALARM, dtype=np.int8)
    with_truth = np.flatnonzero(np.repeat(ships, found))
    if not len(with_truth):
        return verdict
    over = _best(boxes, truth, np.repeat(ships, found), np.repeat(np.cumsum(ships) - ships, found), with_truth)
    near = over.reach >= iou
    chosen, best = with_truth[near], over.first[near]
    verdict[chosen[ignore[best]]] = NOT_COUNTED
    counted = ~ignore[best]
    chosen, best = chosen[counted], best[counted]
    order = np.argsort(-flat([result.scores for result in results], (0,))[chosen], kind="stable")
    # of all detections that want one box, the surest has it
    _, first = np.unique(best[order], return_index=True)
    verdict[chosen[order[first]]] = HIT
    return verdict


def _best(boxes: Floats, truth: Floats, ships: Ints, first: Ints, with_truth: Ints) -> Nearest:
    """For detections in images with truth: the boxes that they overlap most, among all of all images."""
    counts = ships[with_truth]
    begins = np.cumsum(counts) - counts
    mine = np.repeat(with_truth, counts)
    theirs = np.arange(counts.sum()) + np.repeat(first[with_truth] - begins, counts)
    a, b = boxes[mine], truth[theirs]
    extent = np.clip(np.minimum(a[:, 2:], b[:, 2:]) - np.maximum(a[:, :2], b[:, :2]), 0, None)
    shared = extent[:, 0] * extent[:, 1]
    union = area(boxes)[mine] + area(truth)[theirs] - shared
    overlap = np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
    reach = np.maximum.reduceat(overlap, begins)
    most = overlap == np.repeat(reach, counts)
    return Nearest(
        np.minimum.reduceat(np.where(most, theirs, len(truth)), begins),
        np.maximum.reduceat(np.where(most, theirs, -1), begins),
        reach,
    )


def flat(parts: Sequence[NDArray[Any]], empty: tuple[int, ...] = (0, 4)) -> Floats:
    """Boxes (or scores, with ``empty`` (0,)) of many images, one image after the other, as float64."""
    shape = (-1, *empty[1:])
    return np.concatenate([np.empty(empty), *(np.asarray(part, dtype=np.float64).reshape(shape) for part in parts)])
