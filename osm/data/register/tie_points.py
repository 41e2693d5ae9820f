"""Tie points: pixels of a SAR and of an optical scene that show the same place."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from osm.data.tables import Row, read_table
from osm.errors import DataError
from osm.files import atomic_path

Floats = npt.NDArray[np.float64]
Size = tuple[int, int]
"""Width and height in pixels."""

COLUMNS = ("sar_col", "sar_row", "opt_col", "opt_row")
MOST = 100_000
_SWAPPED = "the columns of SAR and optical seem to be swapped: exchange sar_col,sar_row with opt_col,opt_row"


@dataclass(frozen=True, eq=False)
class TiePoints:
    """Matched points of one scene pair.

    Pixel coordinates are continuous, from the upper left corner of the image: the centre of the first pixel is
    (0.5, 0.5), as in QGIS and GDAL.

    Attributes:
        sar: ``(N, 2)`` column and row in the SAR scene.
        optical: ``(N, 2)`` column and row in the optical scene.
        regions: The sub-region that each is for; empty where its place decides.
    """

    sar: Floats
    optical: Floats
    regions: tuple[str, ...]

    @classmethod
    def of(cls, sar: npt.ArrayLike, optical: npt.ArrayLike) -> TiePoints:
        """Points without named regions."""
        first = np.asarray(sar, dtype=np.float64).reshape(-1, 2)
        return cls(first, np.asarray(optical, dtype=np.float64).reshape(-1, 2), ("",) * len(first))

    def __len__(self) -> int:
        return len(self.sar)

    def take(self, chosen: npt.NDArray[np.bool_] | npt.NDArray[np.int64]) -> TiePoints:
        """Those of a mask or of some indices."""
        index = np.flatnonzero(chosen) if chosen.dtype == bool else chosen
        return TiePoints(self.sar[index], self.optical[index], tuple(self.regions[i] for i in index.tolist()))

    def swapped(self) -> TiePoints:
        """SAR and optical exchanged."""
        return TiePoints(self.optical, self.sar, self.regions)


def read_tie_points(path: Path, sar_size: Size, optical_size: Size) -> TiePoints:
    """Read ``sar_col,sar_row,opt_col,opt_row[,region]``.

    Args:
        path: The CSV file.
        sar_size: Width and height of the SAR scene.
        optical_size: Width and height of the optical scene.

    Raises:
        DataError: No such table, a cell that is no number, a point outside its scene, a point that is there twice.
            Where exchanging the columns of SAR and optical would bring all points inside, the error says so.
    """
    rows = read_table(path, COLUMNS)
    if len(rows) > MOST:
        raise DataError(path, found=f"{len(rows):,} points", expected=f"at most {MOST:,}", mend="leave some out")
    values = np.array([_numbers(path, line, row) for line, row in rows], dtype=np.float64).reshape(-1, 4)
    lines = [line for line, _ in rows]
    points = TiePoints(values[:, :2], values[:, 2:], tuple(row.get("region", "") for _, row in rows))
    _check_inside(path, lines, points, sar_size, optical_size)
    _check_unique(path, lines, points)
    return points


def write_tie_points(path: Path, points: TiePoints) -> None:
    """Write points as ``read_tie_points`` reads them, atomically."""
    with atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow((*COLUMNS, "region"))
        for sar, optical, region in zip(points.sar.tolist(), points.optical.tolist(), points.regions, strict=True):
            writer.writerow((*(f"{value:.3f}" for value in (*sar, *optical)), region))


def inside(points: Floats, size: Size) -> npt.NDArray[np.bool_]:
    """Which of ``(N, 2)`` lie in an image."""
    return np.asarray(((points >= 0) & (points <= np.asarray(size))).all(axis=1))


def hull_area(places: Floats) -> float:
    """Area of the convex hull of ``(N, 2)``, N from 3 up and not all on a line, in square pixels."""
    from scipy.spatial import ConvexHull

    return float(ConvexHull(places).volume)  # in the plane, what is called volume is the area


def spread_ratio(points: Floats) -> float:
    """How far points depart from a straight line: the smaller to the larger spread, 0 on a line, 1 at most."""
    if len(points) < 3:
        return 0.0
    spread = np.linalg.svd(points - points.mean(axis=0), compute_uv=False)
    return float(spread[1] / spread[0]) if spread[0] > 0 else 0.0


def _numbers(path: Path, line: int, row: Row) -> list[float]:
    numbers = []
    for name in COLUMNS:
        try:
            number = float(row[name])
        except ValueError:
            number = math.nan
        if not math.isfinite(number):
            raise DataError(
                f"{path}, line {line}",
                found=f"{name} {row[name][:40]!r}",
                expected="a number of pixels, with a decimal point",
                mend="correct the line",
            )
        numbers.append(number)
    return numbers


def _check_inside(path: Path, lines: Sequence[int], points: TiePoints, sar_size: Size, optical_size: Size) -> None:
    outside = ~(inside(points.sar, sar_size) & inside(points.optical, optical_size))
    if not outside.any():
        return
    turned = points.swapped()
    swapped = bool((inside(turned.sar, sar_size) & inside(turned.optical, optical_size)).all())
    worst = int(np.flatnonzero(outside)[0])
    is_sar = not inside(points.sar[[worst]], sar_size)[0]
    (column, row), size = (points.sar[worst], sar_size) if is_sar else (points.optical[worst], optical_size)
    raise DataError(
        f"{path}, line {lines[worst]}",
        found=f"the {'SAR' if is_sar else 'optical'} point {column:g},{row:g} outside its scene"
        + (f" (and {int(outside.sum()) - 1} more)" if outside.sum() > 1 else ""),
        expected=f"0 to {size[0]} and 0 to {size[1]}",
        mend=_SWAPPED if swapped else "correct or remove the point",
    )


def _check_unique(path: Path, lines: Sequence[int], points: TiePoints) -> None:
    for side, places in (("SAR", points.sar), ("optical", points.optical)):
        first: dict[tuple[float, float, str], int] = {}
        for line, place, region in zip(lines, places.round(3).tolist(), points.regions, strict=True):
            # one point may serve two regions
            before = first.setdefault((place[0], place[1], region), line)
            if before != line:
                raise DataError(
                    f"{path}, line {line}",
                    found=f"the {side} point {place[0]:g},{place[1]:g} a second time, as in line {before}",
                    expected="every point once",
                    mend="remove one of the two lines",
                )
