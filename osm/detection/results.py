"""Truth and detections of one image, and what can be said of a detection: the records that evaluation passes on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: What is said of a detection.
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
class Judged:
    """All detections of a set of images, the surest first, and what each is at each of T thresholds of IoU.

    Attributes:
        image: (D,) int64, place of the detection's image in the sequence that was judged.
        detection: (D,) int64, place of the detection in its image.
        scores: (D,) float64, falling; equal ones by image, then as given.
        verdict: (T, D) int8: ``HIT``, ``FALSE_ALARM`` or ``NOT_COUNTED``.
        truth_counts: (I,) int64, truth boxes of each image that are not to be ignored.
    """

    image: NDArray[np.int64]
    detection: NDArray[np.int64]
    scores: NDArray[np.float64]
    verdict: NDArray[np.int8]
    truth_counts: NDArray[np.int64]
