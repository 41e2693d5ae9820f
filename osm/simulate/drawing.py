"""Polygons on rasters, and the ledger of buildings that the two renderings share."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

Polygon = NDArray[np.float64]


class Roof(IntEnum):
    """What a building is, as far as its looks go."""

    TILED = 0
    FLAT = 1
    SHED = 2
    CONTAINERS = 3
    TANK = 4
    CRANE = 5


@dataclass(frozen=True, eq=False)
class Buildings:
    """One row a building; row 0 stands for «no building» so that a raster of rows can be looked up directly.

    Attributes:
        height_m: ``(B,)`` float32.
        angle_rad: ``(B,)`` float32, direction of one wall; walls are at right angles.
        roof: ``(B,)`` uint8, members of :class:`Roof`.
        shade: ``(B,)`` float32 in [0, 1], the individual difference within a kind.
    """

    height_m: NDArray[np.float32]
    angle_rad: NDArray[np.float32]
    roof: NDArray[np.uint8]
    shade: NDArray[np.float32]


@dataclass
class Ledger:
    """Buildings while they are being drawn up."""

    polygons: list[Polygon] = field(default_factory=list)
    rows: list[tuple[float, float, int, float]] = field(default_factory=list)

    def add(self, polygon: Polygon, height_m: float, angle_rad: float, roof: Roof, shade: float) -> None:
        """Add one building; later ones are drawn over earlier ones."""
        self.polygons.append(polygon)
        self.rows.append((height_m, angle_rad, int(roof), shade))

    def finish(self, allowed: NDArray[np.bool_]) -> tuple[NDArray[np.int32], Buildings]:
        """Draw all footprints where ``allowed``; returns the raster of rows ``(H, W)`` and the table."""
        raster = Image.new("I", (allowed.shape[1], allowed.shape[0]), 0)
        fill(raster, self.polygons, range(1, len(self.polygons) + 1))
        table = np.array([(0.0, 0.0, 0.0, 0.0), *self.rows], dtype=np.float32)
        rows = np.asarray(raster, dtype=np.int32) * allowed
        return rows, Buildings(table[:, 0], table[:, 1], table[:, 2].astype(np.uint8), table[:, 3])


@dataclass(frozen=True)
class Frame:
    """A right-handed local frame: an origin and the direction of its first axis; units are pixels."""

    x_px: float
    y_px: float
    angle_rad: float

    def points(self, local: Sequence[tuple[float, float]] | NDArray[np.float64]) -> Polygon:
        """Local coordinates ``(..., 2)`` to x, y of the scene."""
        cos, sin = np.cos(self.angle_rad), np.sin(self.angle_rad)
        turned = np.asarray(local, dtype=np.float64) @ np.array([(cos, sin), (-sin, cos)])
        return np.asarray(turned + np.array((self.x_px, self.y_px)))

    def rectangle(self, a1: float, b1: float, a2: float, b2: float) -> Polygon:
        """The rectangle between two opposite corners, ``(4, 2)``."""
        return self.points([(a1, b1), (a2, b1), (a2, b2), (a1, b2)])


def fill(image: Image.Image, polygons: Iterable[Polygon], values: Iterable[int]) -> None:
    """Fill each polygon (x, y in pixel edges) with its value."""
    draw: Any = ImageDraw.Draw(image)
    for polygon, value in zip(polygons, values, strict=True):
        draw.polygon((polygon - 0.5).ravel().tolist(), fill=value)


def stroke(image: Image.Image, path: Polygon, width_px: float, value: int) -> None:
    """Draw a polyline of the given width."""
    draw: Any = ImageDraw.Draw(image)
    draw.line((path - 0.5).ravel().tolist(), fill=value, width=max(1, round(width_px)), joint="curve")


def blank(shape: tuple[int, int]) -> Image.Image:
    """An empty 8-bit image of ``shape`` (H, W)."""
    return Image.new("L", (shape[1], shape[0]), 0)


def bezier(control: Polygon, steps: int = 24) -> Polygon:
    """A quadratic curve through the ends of three control points, ``(steps, 2)``."""
    t = np.linspace(0.0, 1.0, steps)[:, None]
    return np.asarray((1 - t) ** 2 * control[0] + 2 * t * (1 - t) * control[1] + t**2 * control[2])


def sample(mask: NDArray[Any], points: Polygon) -> NDArray[Any]:
    """Values of ``mask`` under points ``(..., 2)``; points outside take the nearest pixel's."""
    column = np.clip(points[..., 0].astype(np.int64), 0, mask.shape[1] - 1)
    row = np.clip(points[..., 1].astype(np.int64), 0, mask.shape[0] - 1)
    return np.asarray(mask[row, column])
