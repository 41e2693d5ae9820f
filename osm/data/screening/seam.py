"""Seam lines of optical mosaics: a straight step in brightness across a patch that the SAR patch does not have."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

Bytes = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float32]

_SIDE_PX = 128
"""Patches are reduced to about this side first."""

_ANGLES = 90
"""Directions of a step, over the full circle: a step up and a step down are two."""

_LOOSE = 3  # directions to each side that a noisy gradient votes for
_LEAST_STEP = 3.0  # grey levels of difference, at the reduced size
_LEAST_CHORD = 0.75  # of the side: shorter lines cross a corner
_STRIPS_PX = ((1.5, 8.0), (8.0, 24.0))
"""Beside a line at the reduced size: a road is narrower than the second, a seam goes on."""

_STEADY = 2.0
_LEAST_SIDES = 4.0
_SAR_STEP = 0.12


def seam_score(sar: Bytes, optical: Bytes, missing: Mask | None = None) -> float:
    """The largest part of a straight line across the optical patch at which it steps one way, in [0, 1].

    Pixels vote for the line on which their gradient says they lie (a Hough transform by gradients, Ballard 1981). A
    road, a roof or a bank is a line too: roads have a second edge that steps back, so both sides of a seam must differ
    on average; and what is on the ground mostly shows in the SAR patch too, so there the two sides must not differ.

    Args:
        sar: ``(H, W)``.
        optical: ``(H, W, 3)``.
        missing: ``(H, W)``: pixels that do not vote, with their neighbours.
    """
    import cv2

    factor = max(1, min(sar.shape) // _SIDE_PX)
    size = (sar.shape[1] // factor, sar.shape[0] // factor)
    colour = cv2.resize(optical, size, interpolation=cv2.INTER_AREA).astype(np.float32)
    known = np.ones(colour.shape[:2], dtype=bool)
    if missing is not None and missing.any():
        gone = cv2.resize(missing.astype(np.float32), size, interpolation=cv2.INTER_AREA) > 0
        known = cv2.dilate(gone.astype(np.uint8), np.ones((5, 5), np.uint8)) == 0
    grey = colour.mean(axis=2)
    right, down = (cv2.Sobel(grey, cv2.CV_32F, *step) for step in ((1, 0), (0, 1)))
    # thin edges: a line is crossed once; Sobel's weights add up to four
    low = 4 * _LEAST_STEP
    edges = cv2.Canny(right.astype(np.int16), down.astype(np.int16), low, 1.5 * low, L2gradient=True)
    voters = known & (edges > 0)
    rows, columns = np.nonzero(voters)
    if not len(rows):
        return 0.0
    angle = np.arctan2(down[voters], right[voters])
    turn = np.round(angle / (2 * np.pi) * _ANGLES).astype(np.int64) % _ANGLES
    unit, chords, reach = _lines(*size)
    bins = chords.shape[1]
    votes = np.zeros((_ANGLES, bins), dtype=np.float64)
    for step in range(-_LOOSE, _LOOSE + 1):
        near = (turn + step) % _ANGLES
        offset = columns * unit[near, 0] + rows * unit[near, 1]
        places = near * bins + np.round(offset + reach).astype(np.int64)
        votes += np.bincount(places, minlength=_ANGLES * bins).reshape(_ANGLES, bins)
    # an edge may be a pixel off its line
    votes[:, 1:-1] = votes[:, :-2] + votes[:, 1:-1] + votes[:, 2:]
    share = np.minimum(votes / np.maximum(chords, 1), 1.0)
    share[chords < _LEAST_CHORD * min(size)] = 0
    small = cv2.resize(sar, size, interpolation=cv2.INTER_AREA).astype(np.float32)
    for place in np.argsort(share, axis=None)[::-1][:12]:
        turned, bin_ = np.unravel_index(int(place), share.shape)
        score = float(share[turned, bin_])
        if score < 0.3:
            break
        if _only_optical(grey, small, known, unit[turned], float(bin_ - reach)):
            return score
    return 0.0


def _only_optical(grey: Floats, sar: Floats, known: Mask, unit: npt.NDArray[np.float64], offset: float) -> bool:
    """Whether the strips on both sides of a line differ steadily in the optical patch, and not in the SAR patch."""
    rows, columns = np.indices(grey.shape, dtype=np.float32)
    away = columns * np.float32(unit[0]) + rows * np.float32(unit[1]) - np.float32(offset)
    # along the line, part by part
    along = np.floor((rows * np.float32(unit[0]) - columns * np.float32(unit[1])) / 16).astype(np.int64)
    along -= along.min()
    parts = int(along.max()) + 1
    for low, high in _STRIPS_PX:
        after, before = ((away > low) & (away < high) & known), ((away < -low) & (away > -high) & known)
        steps = _part_means(grey, after, along, parts) - _part_means(grey, before, along, parts)
        steps = steps[np.isfinite(steps)]
        if len(steps) < 4 or steps.mean() < max(_LEAST_SIDES, steps.std() / _STEADY):
            return False
        if low == _STRIPS_PX[0][0] and np.mean(steps > 0) < 0.9:
            return False
        ratio = np.log((float(sar[after].mean()) + 1) / (float(sar[before].mean()) + 1))
        if abs(ratio) >= _SAR_STEP:
            return False
    return True


def _part_means(image: Floats, chosen: Mask, part: npt.NDArray[np.int64], parts: int) -> npt.NDArray[np.float64]:
    count = np.bincount(part[chosen], minlength=parts).astype(np.float64)
    total = np.bincount(part[chosen], weights=image[chosen], minlength=parts)
    return np.where(count >= 20, total / np.maximum(count, 1), np.nan)


@lru_cache(maxsize=4)
def _lines(width: int, height: int) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], int]:
    """Unit normals ``(A, 2)``, length of every line within the patch ``(A, bins)``, and the bin of offset 0."""
    turns = np.arange(_ANGLES) * 2 * np.pi / _ANGLES
    unit = np.column_stack([np.cos(turns), np.sin(turns)])
    reach = int(np.ceil(np.hypot(width, height)))
    rows, columns = np.indices((height, width))
    chords = np.empty((_ANGLES, 2 * reach + 1))
    for number, (across, along) in enumerate(unit):
        bins = np.round(columns * across + rows * along + reach).astype(np.int64)
        chords[number] = np.bincount(bins.ravel(), minlength=2 * reach + 1)
    return unit, chords, reach
