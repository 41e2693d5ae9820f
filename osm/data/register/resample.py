"""Resampling a scene through a transform, window by window: bilinear, with the same result whatever the window."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from osm.data.radiometry import Radiometry
from osm.data.register.transform import Transform, jacobian
from osm.data.sources import Box, Bytes, Mask, Source

Floats = npt.NDArray[np.float64]

STEP_PX = 16
"""Transforms are evaluated on a lattice of this step, and interpolated between: exact for affine ones."""

_SUBPIXEL = 32  # OpenCV's bilinear weights know this many places within a pixel
_MOST_SOURCE_PX = 64 * 2**20


@dataclass(frozen=True)
class Grid:
    """The pixels that patches are cut from: those of the SAR scene, or larger or smaller ones along the same axes.

    Attributes:
        width_px: Columns.
        height_px: Rows.
        sar_px: Pixels of the SAR scene along one of the grid's: 1 where it is the SAR's own.
    """

    width_px: int
    height_px: int
    sar_px: float = 1.0

    @classmethod
    def of(cls, sar_size: tuple[int, int], sar_px: float = 1.0) -> Grid:
        """The grid over a whole SAR scene."""
        width, height = (int(np.floor(length / sar_px + 1e-9)) for length in sar_size)
        return cls(width, height, sar_px)


def lattice(transform: Transform | None, box: Box, grid: Grid) -> Floats:
    """Source coordinates ``(H, W, 2)`` of the centres of the pixels of a window of the grid.

    The nodes lie at multiples of ``STEP_PX`` of the grid, so that a pixel's coordinates do not depend on the window.

    Args:
        transform: From SAR to source pixels; None where the source is the SAR scene.
        box: x1, y1, x2, y2 in the grid.
        grid: The grid.
    """
    parts = []
    for low, high in ((box[0], box[2]), (box[1], box[3])):
        first, last = int(low // STEP_PX), int((high - 1) // STEP_PX) + 1
        where = (np.arange(low, high) + 0.5) / STEP_PX
        left = np.minimum(np.floor(where).astype(np.int64), last - 1)
        parts.append((np.arange(first, last + 1) * float(STEP_PX), left - first, where - left))
    (columns, left, along), (rows, top, down) = parts
    nodes = np.stack(np.meshgrid(columns, rows), axis=2).reshape(-1, 2) * grid.sar_px
    found = nodes if transform is None else transform(nodes)
    found = found.reshape(len(rows), len(columns), 2)
    mixed = found[top] * (1 - down)[:, None, None] + found[top + 1] * down[:, None, None]
    along = along[None, :, None]
    return np.asarray(mixed[:, left] * (1 - along) + mixed[:, left + 1] * along)


@dataclass(frozen=True, eq=False)
class Resampled:
    """A scene on a grid; itself a source of windows.

    Bilinear; where a pixel of the grid covers several of the scene, these are averaged in squares first. A pixel is
    missing where any that it would be made of is missing, or lies outside. Missing pixels are 0.

    Attributes:
        source: The scene to sample.
        transform: From SAR to source pixels; None where the source is the SAR scene.
        grid: The grid.
    """

    source: Source
    transform: Transform | None
    grid: Grid

    @property
    def size_px(self) -> tuple[int, int]:
        """Width and height of the grid."""
        return self.grid.width_px, self.grid.height_px

    @property
    def radiometry(self) -> Radiometry:
        """The mapping to 8 bits."""
        return self.source.radiometry

    @cached_property
    def factor(self) -> int:
        """How many source pixels a pixel of the grid covers along a side, rounded down; one for the whole grid."""
        if self.transform is None:
            return max(1, int(self.grid.sar_px + 0.05))
        middle = np.array([[self.grid.width_px, self.grid.height_px]]) * self.grid.sar_px / 2
        change = np.abs(np.linalg.det(jacobian(self.transform, middle)[0])) * self.grid.sar_px**2
        return max(1, int(np.sqrt(change) + 0.05)) if np.isfinite(change) else 1

    def read(self, box: Box) -> tuple[Bytes, Mask]:
        """Pixels ``(H, W)`` or ``(H, W, 3)`` of a window of the grid, and which are missing ``(H, W)``."""
        if self.transform is None and self.grid.sar_px == 1.0:
            return self.source.read(box)
        factor, shape = self.factor, (box[3] - box[1], box[2] - box[0])
        # places of centres of source pixels, in steps that the interpolation can tell apart: exact in single
        # precision, so that where a window begins makes no difference
        places = np.round((lattice(self.transform, box, self.grid) / factor - 0.5) * _SUBPIXEL) / _SUBPIXEL
        width, height = (length // factor for length in self.source.size_px)
        known = np.isfinite(places).all(axis=2)
        with np.errstate(invalid="ignore"):
            known &= (places >= 0).all(axis=2) & (places[..., 0] <= width - 1) & (places[..., 1] <= height - 1)
        if not known.any():
            bands = self.source.read((0, 0, 1, 1))[0].shape[2:]
            return np.zeros((*shape, *bands), dtype=np.uint8), np.ones(shape, dtype=bool)
        inside = places[known]
        x1, y1 = (int(value) for value in np.floor(inside.min(axis=0)))
        x2, y2 = (int(value) + 2 for value in np.floor(inside.max(axis=0)))
        x2, y2 = min(x2, width), min(y2, height)
        if (x2 - x1) * (y2 - y1) * factor**2 > _MOST_SOURCE_PX and shape[0] * shape[1] > STEP_PX**2:
            return self._halves(box)
        pixels, missing = average(self.source, (x1 * factor, y1 * factor, x2 * factor, y2 * factor), factor)
        return _interpolate(pixels, missing, places - [x1, y1], known)

    def _halves(self, box: Box) -> tuple[Bytes, Mask]:
        """A window whose source would be too large at once, in two."""
        x1, y1, x2, y2 = box
        wide = x2 - x1 >= y2 - y1
        middle = (x1 + x2) // 2 if wide else (y1 + y2) // 2
        boxes = ((x1, y1, middle, y2), (middle, y1, x2, y2)) if wide else ((x1, y1, x2, middle), (x1, middle, x2, y2))
        parts = [self.read(part) for part in boxes]
        axis = 1 if wide else 0
        return np.concatenate([part[0] for part in parts], axis), np.concatenate([part[1] for part in parts], axis)


def average(source: Source, box: Box, factor: int) -> tuple[Bytes, Mask]:
    """A window, reduced by means over squares of ``factor`` pixels; the window's sides are multiples of it."""
    pixels, missing = source.read(box)
    return _reduce(pixels, missing, factor) if factor > 1 else (pixels, missing)


def _reduce(pixels: Bytes, missing: Mask, factor: int) -> tuple[Bytes, Mask]:
    import cv2

    height, width = missing.shape[0] // factor, missing.shape[1] // factor
    part = (slice(0, height * factor), slice(0, width * factor))
    small = cv2.resize(np.ascontiguousarray(pixels[part]), (width, height), interpolation=cv2.INTER_AREA)
    gone = missing[part].reshape(height, factor, width, factor).any(axis=(1, 3))
    return np.asarray(small, dtype=np.uint8), np.asarray(gone)


def _interpolate(pixels: Bytes, missing: Mask, places: Floats, known: Mask) -> tuple[Bytes, Mask]:
    import cv2

    # outside is nowhere: far enough that no weight falls inside
    where = np.where(known[..., None], places, -10.0).astype(np.float32)
    columns, rows = np.ascontiguousarray(where[..., 0]), np.ascontiguousarray(where[..., 1])
    found = cv2.remap(np.ascontiguousarray(pixels), columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    gone = ~known
    if missing.any():
        weight = cv2.remap(missing.astype(np.float32), columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        gone |= weight > 0
    found[gone] = 0
    return np.asarray(found, dtype=np.uint8), gone
