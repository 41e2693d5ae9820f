"""Seam lines of optical mosaics: a straight step in colour across a patch that the SAR patch does not have."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

Bytes = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float32]

_SIDE_PX = 128
"""Patches are reduced to about this side first."""

_ANGLES = 45  # directions of a line, over half a circle
_PARTS = 8  # of a line
_STRIPS_PX = ((1, 4), (3, 10), (8, 20))
"""Beside a line at the reduced size, from and to: a road is narrower than the last, a seam goes on."""

_LEAST_STEP = 4.0  # grey levels
_LEAST_SHARE = 0.5  # of the largest step that the smallest must be: a gradient steps far away, a road nearby
_LEAST_PARTS = 5  # that lie within the patch
_LEAST_FULL = 0.4  # of a strip within a part
_NOISE_LEVELS = 2.0
_TEXTURE_PX = 6  # over which colours of texture differ
_FAR = 3.0  # standard deviations of texture, beyond which a colour counts no more
_STEADY = 0.1  # the same, to be added to the spread along a line
_SAR_STEP = 0.12


def seam_score(sar: Bytes, optical: Bytes, missing: Mask | None = None) -> float:
    """How steadily the optical patch steps along some straight line across it, in [0, 1).

    Colours are measured in the standard deviations of the patch's own texture (Mahalanobis distance): a mosaic's
    scenes differ in hue, of which towns and fields have little, as much as in brightness, of which these have plenty.
    Along every line, the strips to both sides are compared part by part, near the line and farther away. With t the
    mean step over its spread between the parts, at the distance where it is least, the score is t / (1 + t).

    What is on the ground mostly shows in the SAR patch too, so there the two sides must not differ; a road has a second
    edge that steps back, and a gradient has none.

    Args:
        sar: ``(H, W)``.
        optical: ``(H, W, 3)``.
        missing: ``(H, W)``: pixels that do not count, with their neighbours.
    """
    import cv2

    factor = max(1, min(sar.shape) // _SIDE_PX)
    width, height = sar.shape[1] // factor, sar.shape[0] // factor
    colour = cv2.resize(optical, (width, height), interpolation=cv2.INTER_AREA).astype(np.float32)
    grey = cv2.resize(sar, (width, height), interpolation=cv2.INTER_AREA).astype(np.float32)
    known = np.ones((height, width), dtype=np.float32)
    if missing is not None and missing.any():
        gone = cv2.resize(missing.astype(np.float32), (width, height), interpolation=cv2.INTER_AREA) > 0
        known[cv2.dilate(gone.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0] = 0
    to_texture = _whitening(colour)
    white = colour @ to_texture
    white = np.clip(white - np.median(white.reshape(-1, 3), axis=0), -_FAR, _FAR)
    # all in one image, so that it is turned once; what is unknown counts as nothing, and is not counted
    image = np.dstack([white, np.log1p(grey), np.ones_like(grey)]) * known[..., None]
    to_levels = np.linalg.inv(to_texture)
    side, steadiest = _canvas(width, height), 0.0
    for turn in _turns(width, height):
        turned = np.asarray(cv2.warpAffine(image, turn, (side, side), flags=cv2.INTER_LINEAR), dtype=np.float32)
        steadiest = max(steadiest, _steadiest(turned, to_levels))
    return steadiest / (1 + steadiest)


def _whitening(colour: Floats) -> Floats:
    """The matrix that gives the differences between colours nearby unit variance."""
    pairs = [colour[:, _TEXTURE_PX:] - colour[:, :-_TEXTURE_PX], colour[_TEXTURE_PX:] - colour[:-_TEXTURE_PX]]
    away = np.concatenate([pair.reshape(-1, 3) for pair in pairs]).astype(np.float64)
    variances, axes = np.linalg.eigh(away.T @ away / max(len(away), 1) + np.eye(3) * _NOISE_LEVELS**2)
    return np.asarray((axes / np.sqrt(variances)) @ axes.T, dtype=np.float32)


def _steadiest(turned: Floats, to_levels: Floats) -> float:
    """The largest t of the lines that run from top to bottom."""
    side = len(turned)
    parts = turned.reshape(_PARTS, side // _PARTS, side, -1).sum(axis=1)
    upto = np.pad(np.cumsum(parts, axis=1), ((0, 0), (1, 0), (0, 0)))
    steps, counts, means = [], [], []
    for low, high in _STRIPS_PX:
        right, left = _sums(upto, low, high)
        full = _LEAST_FULL * (high - low + 1) * side // _PARTS
        both = (right[..., -1] > full) & (left[..., -1] > full)
        step = right[..., :-1] / np.maximum(right[..., -1:], 1) - left[..., :-1] / np.maximum(left[..., -1:], 1)
        step[~both] = 0
        steps.append(step)
        counts.append(both.sum(axis=0))
        means.append(step.sum(axis=0) / np.maximum(counts[-1], 1)[:, None])
    # the direction of the step in colour, from the strips near the line
    direction = (means[0] + means[1])[:, :3] / 2
    unit = direction / np.maximum(np.linalg.norm(direction, axis=1, keepdims=True), 1e-6)
    steady, along = [], []
    for step, count in zip(steps, counts, strict=True):
        # parts that do not count are zero
        share = np.einsum("pwc,wc->pw", step[..., :3], unit)
        mean = share.sum(axis=0) / np.maximum(count, 1)
        spread = np.maximum((share**2).sum(axis=0) / np.maximum(count, 1) - mean**2, 0)
        steady.append(np.where(count >= _LEAST_PARTS, mean / np.sqrt(spread + _STEADY**2), 0))
        along.append(mean)
    levels = np.linalg.norm(direction @ to_levels, axis=1) / np.sqrt(3)
    only_optical = np.abs(means[1][:, 3]) <= _SAR_STEP
    fits = only_optical & (levels >= _LEAST_STEP) & (np.min(along, axis=0) >= _LEAST_SHARE * np.max(along, axis=0))
    return float(np.where(fits, np.min(steady, axis=0), 0).max())


def _sums(upto: npt.NDArray[Any], low: int, high: int) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Sums over the columns ``low`` to ``high`` to the right of each line between two columns, and to its left."""
    last = upto.shape[1] - 1
    line = np.arange(last)
    right = upto[:, np.minimum(line + high, last)] - upto[:, np.minimum(line + low - 1, last)]
    left = upto[:, np.maximum(line - low + 1, 0)] - upto[:, np.maximum(line - high, 0)]
    return right, left


def _canvas(width: int, height: int) -> int:
    """Side of the square in which patches are turned: whole parts."""
    return -(-max(width, height) // _PARTS) * _PARTS


@lru_cache(maxsize=4)
def _turns(width: int, height: int) -> tuple[npt.NDArray[np.float64], ...]:
    """The rotations about the middle of a patch, into the middle of the square."""
    import cv2

    side = _canvas(width, height)
    found: list[npt.NDArray[np.float64]] = []
    for angle in np.arange(_ANGLES) * 180 / _ANGLES:
        matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), float(angle), 1.0)
        move = np.array([[0.0, 0.0, (side - width) / 2], [0.0, 0.0, (side - height) / 2]])
        found.append(np.asarray(matrix + move, dtype=np.float64))
    return tuple(found)
