"""Transforms: from pixels of the SAR scene to pixels of the optical scene."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

_MARGIN_PX = 64.0  # beyond the bounds, for lattices that reach over them
_ALONG = 8  # nodes along each side of the border
_NEAREST = 12  # points that a plane is laid through


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
    that every point is met exactly and neighbouring triangles agree along their common side. Outside the triangles it
    goes on to the border of the scene as the plane through the nearest points would.

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

        low = np.minimum(self.bounds[0], self.points.min(axis=0))
        high = np.maximum(self.bounds[1], self.points.max(axis=0))
        margin = _MARGIN_PX + 0.02 * (high - low)
        border = _border(low - margin, high + margin)
        nodes = np.vstack([self.points, border])
        values = np.vstack([self.departures, _extended(self.points, self.departures, border)])
        object.__setattr__(self, "_interpolate", LinearNDInterpolator(nodes, values))

    def __call__(self, points: Floats) -> Floats:
        """Map ``(N, 2)``; NaN far outside ``bounds``."""
        return np.asarray(self.base(points) + self._interpolate(points))

    def record(self) -> dict[str, Any]:
        """The affine part; the rest are the tie points, which the report lists."""
        return {"kind": self.kind, "matrix": self.base.matrix.tolist()}


def jacobian(transform: Transform, points: Floats) -> Floats:
    """Change of optical column, row with SAR column, row at ``(N, 2)``: ``(N, 2, 2)``, by central differences."""
    # half a pixel to each side
    along, down = np.array([0.5, 0.0]), np.array([0.0, 0.5])
    columns = transform(points + along) - transform(points - along)
    rows = transform(points + down) - transform(points - down)
    return np.stack([columns, rows], axis=2)


def _border(low: Floats, high: Floats) -> Floats:
    """Nodes along a rectangle, its corners among them."""
    share = np.linspace(0, 1, _ALONG + 1)[:-1]
    ends, zero = np.ones(_ALONG), np.zeros(_ALONG)
    sides = ((share, zero), (ends, share), (1 - share, ends), (zero, 1 - share))
    return np.asarray(low + np.vstack([np.column_stack(side) for side in sides]) * (high - low))


def _extended(points: Floats, departures: Floats, nodes: Floats) -> Floats:
    """What the planes through the points nearest to some nodes give there, but never far beyond what points show."""
    from scipy.spatial import cKDTree

    count = min(_NEAREST, len(points))
    found = np.empty((len(nodes), 2))
    for number, near in enumerate(cKDTree(points).query(nodes, k=count)[1].reshape(len(nodes), count)):
        centre = points[near].mean(axis=0)
        known = np.column_stack([points[near] - centre, np.ones(count)])
        plane = np.linalg.lstsq(known, departures[near], rcond=None)[0]
        found[number] = np.append(nodes[number] - centre, 1) @ plane
    low, high = departures.min(axis=0), departures.max(axis=0)
    return np.asarray(np.clip(found, low - (high - low) / 2, high + (high - low) / 2))
