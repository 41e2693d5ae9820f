"""Landmarks of an image: places that are found again in a crop, a brighter or a re-encoded copy, and in no other image.

A perceptual fingerprint that survives cropping cannot be one number of the whole image. Here an image is smoothed, its
local mean taken away and the rest divided by the local spread (so that texture speaks, and neither brightness nor one
bright ship); the highest points of that are its landmarks, and the texture around each, projected at random to
``DIMENSIONS`` and scaled to length 1, is its vector. Speckle makes every place unlike any other, even at sea. Two
images that share landmarks at one offset are then laid upon each other and compared pixel by pixel.

What has no texture says nothing: calm water has no landmarks, and an overlap of less than ``LEAST_PX`` textured
pixels is never judged. Copies that are turned, mirrored or resampled are not found.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]

DIMENSIONS = 64
LEAST_ALIKE = 0.8
"""Least correlation of two vectors: of 64 dimensions, chance has a spread of 1/8."""

ALONE = 0.9
"""From which a landmark counts alone; below it takes two at one offset."""

LEAST_PX = 4096
"""Fewest textured pixels that two images must share to be compared: over less, two ships on calm water look alike."""

MUCH_PX, SAME, SAME_OF_LITTLE = 16384, 0.5, 0.85
"""Textured pixels from which a correlation of ``SAME`` tells; below, it takes ``SAME_OF_LITTLE``."""

_SMOOTH_PX = 1.5
_WINDOW_PX = 17  # of the local mean and spread
_LEAST_SPREAD = 0.5  # grey levels; below it is the rounding to 8 bits
_TEXTURED = 0.8  # grey levels of local spread, from which a pixel has texture
_CLIP = 2.0
_REACH_PX = 16  # of a landmark's surroundings, to each side
_APART_PX = 12  # least distance of landmarks
_STEP_PX = 2
_LOOSE_PX = 2  # how far offsets of landmarks of one copy may differ
_BLOCK = 2048
_MOST_VOTES = 512  # of two images; a pattern that repeats itself would have many more


@dataclass(frozen=True, eq=False)
class Landmarks:
    """Landmarks of one image, the most prominent first.

    Attributes:
        points: ``(K, 2)`` int64 column and row.
        vectors: ``(K, DIMENSIONS)`` float16 of length 1.
    """

    points: Ints
    vectors: npt.NDArray[np.float16]

    def first(self, count: int) -> Landmarks:
        """The most prominent ones."""
        return Landmarks(self.points[:count], self.vectors[:count])


def as_grey(image: npt.NDArray[Any]) -> Floats:
    """An image of any type and number of bands as ``(H, W)`` in 0..255; all but 8-bit images are stretched to that."""
    values = np.abs(image) if np.iscomplexobj(image) else image
    grey = values[..., :3].mean(axis=2, dtype=np.float32) if values.ndim == 3 else values.astype(np.float32)
    if image.dtype == np.uint8:
        return np.asarray(grey)
    grey = np.where(np.isfinite(grey), grey, np.float32(0))
    low, high = (float(limit) for limit in np.percentile(grey, (0.5, 99.5)))
    scale = 255 / (high - low) if high > low else 0.0
    return np.asarray(np.clip((grey - low) * scale, 0, 255), dtype=np.float32)


@dataclass(frozen=True, eq=False)
class Texture:
    """What of an image is independent of its brightness.

    Attributes:
        relative: ``(H, W)`` departure from the local mean in units of the local spread.
        textured: ``(H, W)``: where there is any texture.
    """

    relative: npt.NDArray[Any]
    textured: npt.NDArray[np.bool_]

    def compact(self) -> Texture:
        """The same in a third of the room, for ``agreement`` alone."""
        return Texture(np.clip(self.relative, -_CLIP, _CLIP).astype(np.float16), self.textured)


def texture(grey: Floats) -> Texture:
    """The texture of an image ``(H, W)`` in 0..255."""
    from scipy.ndimage import gaussian_filter, uniform_filter

    smooth = gaussian_filter(grey, _SMOOTH_PX, mode="nearest", truncate=3)
    mean = uniform_filter(smooth, _WINDOW_PX, mode="nearest")
    variance = np.clip(uniform_filter((smooth - mean) ** 2, _WINDOW_PX, mode="nearest"), 0, None)
    return Texture((smooth - mean) / np.sqrt(variance + _LEAST_SPREAD**2), variance >= _TEXTURED**2)


def find_landmarks(found: Texture) -> Landmarks:
    """The landmarks of an image; none where it has no texture or no room around them."""
    from scipy.ndimage import maximum_filter

    relative = found.relative
    height, width = relative.shape
    inside = np.zeros_like(found.textured)
    inside[_REACH_PX : height - _REACH_PX, _REACH_PX : width - _REACH_PX] = True
    peak = (maximum_filter(relative, 2 * _APART_PX + 1, mode="nearest") == relative) & found.textured & inside
    rows, columns = np.nonzero(peak)
    order = np.argsort(-relative[rows, columns], kind="stable")
    rows, columns = rows[order], columns[order]
    steps = np.arange(-_REACH_PX, _REACH_PX, _STEP_PX)
    around = np.clip(relative[rows[:, None, None] + steps[:, None], columns[:, None, None] + steps], -_CLIP, _CLIP)
    flat = around.reshape(len(rows), len(steps) ** 2)
    vectors = (flat - flat.mean(axis=1, keepdims=True)) @ _projection(len(steps) ** 2)
    vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    return Landmarks(np.column_stack([columns, rows]).astype(np.int64), vectors.astype(np.float16))


def same_places(here: Landmarks, owners: Ints, there: Landmarks, others: Ints) -> Iterator[tuple[int, int, int, int]]:
    """Pairs of images with landmarks that agree, and the offset at which most of them do.

    Args:
        here: Landmarks of some images.
        owners: ``(K,)``: the image of each.
        there: Landmarks of other images.
        others: The same.

    Yields:
        Image, other image, and column and row of the other image's upper left pixel in the first one.
    """
    found: list[npt.NDArray[np.int64]] = []
    for low in range(0, len(owners), _BLOCK):
        block = here.vectors[low : low + _BLOCK].astype(np.float32)
        for start in range(0, len(others), _BLOCK):
            alike = block @ there.vectors[start : start + _BLOCK].astype(np.float32).T
            rows, columns = np.nonzero(alike >= LEAST_ALIKE)
            if len(rows):
                alone = alike[rows, columns] >= ALONE
                rows, columns = rows + low, columns + start
                steps = here.points[rows] - there.points[columns]
                found.append(np.column_stack([owners[rows], others[columns], steps, alone]))
    if not found:
        return
    table = np.concatenate(found)
    table = table[np.lexsort(table.T[::-1])]
    starts = np.flatnonzero(np.r_[True, (np.diff(table[:, :2], axis=0) != 0).any(axis=1)])
    for group in np.split(table, starts[1:]):
        steps, alone = group[:_MOST_VOTES, 2:4], group[:_MOST_VOTES, 4]
        near = np.abs(steps[:, None] - steps[None]).max(axis=2) <= _LOOSE_PX
        votes = near.sum(axis=1) + alone
        best = int(np.argmax(votes))
        if votes[best] < 2:
            continue
        yield (int(group[0, 0]), int(group[0, 1]), *np.median(steps[near[best]], axis=0).astype(int).tolist())


@dataclass(frozen=True)
class Agreement:
    """How alike two images are where they lie upon each other.

    Attributes:
        correlation: Of their textures.
        textured_px: Over how many pixels.
        share: Part of the smaller image that they have in common.
    """

    correlation: float
    textured_px: int
    share: float

    @property
    def same(self) -> bool:
        """Whether it is the same view: measured on SSDD, whose images overlap, chance stays below 0.2 over much
        texture, while on calm water one bright ship laid upon another of its shape reaches 0.75.
        """
        return self.correlation >= (SAME if self.textured_px >= MUCH_PX else SAME_OF_LITTLE)


def agreement(here: Texture, there: Texture, column: int, row: int) -> Agreement | None:
    """Lay one image upon another and compare them.

    Args:
        here: One.
        there: The other.
        column: Where the other's upper left pixel lies in the first.
        row: The same.

    Returns:
        None where they share less than ``LEAST_PX`` textured pixels.
    """
    x1, y1 = max(0, column), max(0, row)
    x2 = min(here.relative.shape[1], column + there.relative.shape[1])
    y2 = min(here.relative.shape[0], row + there.relative.shape[0])
    if x2 <= x1 or y2 <= y1:
        return None
    mine, other = (slice(y1, y2), slice(x1, x2)), (slice(y1 - row, y2 - row), slice(x1 - column, x2 - column))
    both = here.textured[mine] & there.textured[other]
    count = int(np.count_nonzero(both))
    if count < LEAST_PX:
        return None
    one, two = (
        np.clip(part[both].astype(np.float32), -_CLIP, _CLIP) for part in (here.relative[mine], there.relative[other])
    )
    one, two = one - one.mean(), two - two.mean()
    correlation = float(one @ two) / max(float(np.linalg.norm(one) * np.linalg.norm(two)), 1e-12)
    return Agreement(correlation, count, (x2 - x1) * (y2 - y1) / min(here.relative.size, there.relative.size))


@lru_cache(maxsize=2)
def _projection(length: int) -> Floats:
    return np.random.default_rng(length).standard_normal((length, DIMENSIONS), dtype=np.float32)
