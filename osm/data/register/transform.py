"""Transforms: from pixels of the SAR scene to pixels of the optical scene."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


class Transform(Protocol):
    """What maps continuous pixel coordinates of the SAR scene to those of the optical scene."""

    @property
    def kind(self) -> str:
        """``affine``, ``projective``, ``piecewise`` or ``georeference``."""

    def __call__(self, points: Floats) -> Floats:
        """Columns and rows ``(N, 2)`` in the optical scene; NaN where there is none."""

    def record(self) -> dict[str, Any]:
        """What is written down of it, for JSON."""


@dataclass(frozen=True, eq=False)
class Matrix:
    """An affine or projective transform.

    Attributes:
        matrix: ``(3, 3)`` of homogeneous pixel coordinates.
        kind: ``affine`` or ``projective``.
    """

    matrix: Floats
    kind: str = "affine"

    def __call__(self, points: Floats) -> Floats:
        """Map ``(N, 2)``."""
        mapped = points @ self.matrix[:, :2].T + self.matrix[:, 2]
        return np.asarray(mapped[:, :2] / mapped[:, 2:])

    def inverse(self) -> Matrix:
        """The transform back."""
        back = np.linalg.inv(self.matrix)
        return Matrix(back / back[2, 2], self.kind)

    def record(self) -> dict[str, Any]:
        """Kind and matrix."""
        return {"kind": self.kind, "matrix": self.matrix.tolist()}


@dataclass(frozen=True, eq=False)
class Piecewise:
    """An affine transform in each triangle between tie points.

    What the points depart from one affine transform of all is interpolated linearly in the triangles of Delaunay, so
    that every point is met exactly and neighbouring triangles agree along their common side. Outside the triangles the
    departure runs on to that of the nearest point.

    Attributes:
        base: The affine transform of all points.
        points: ``(N, 2)`` in the SAR scene.
        departures: ``(N, 2)`` of the optical points from ``base``.
        bounds: ``(2, 2)``: smallest and largest column, row that will be asked for.
        kind: ``piecewise``.
    """

    base: Matrix
    points: Floats
    departures: Floats
    bounds: Floats
    kind: str = "piecewise"
    _interpolate: Any = field(init=False, repr=False)

    def __post_init__(self) -> None:
        from scipy.interpolate import LinearNDInterpolator
        from scipy.spatial import cKDTree

        low = np.minimum(self.bounds[0], self.points.min(axis=0))
        high = np.maximum(self.bounds[1], self.points.max(axis=0))
        margin = (high - low) + 1
        low, high = low - margin, high + margin
        corners = np.array([[low[0], low[1]], [high[0], low[1]], [low[0], high[1]], [high[0], high[1]]])
        nearest = cKDTree(self.points).query(corners)[1]
        nodes, values = np.vstack([self.points, corners]), np.vstack([self.departures, self.departures[nearest]])
        object.__setattr__(self, "_interpolate", LinearNDInterpolator(nodes, values))

    def __call__(self, points: Floats) -> Floats:
        """Map ``(N, 2)``; NaN far outside ``bounds``."""
        return np.asarray(self.base(points) + self._interpolate(points))

    def record(self) -> dict[str, Any]:
        """The affine part; the rest are the tie points, which the report lists."""
        return {"kind": self.kind, "matrix": self.base.matrix.tolist()}


def jacobian(transform: Transform, points: Floats) -> Floats:
    """Change of optical column, row with SAR column, row at ``(N, 2)``: ``(N, 2, 2)``, by central differences."""
    half = 0.5
    columns = (transform(points + [half, 0]) - transform(points - [half, 0])) / (2 * half)
    rows = (transform(points + [0, half]) - transform(points - [0, half])) / (2 * half)
    return np.stack([columns, rows], axis=2)
