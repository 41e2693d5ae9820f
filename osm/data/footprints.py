"""Where on the ground an image lies, and which of two sets lie upon each other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from osm.data.geotiff import read_geotags
from osm.data.images import image_size

Points = npt.NDArray[np.float64]

_EDGE_POINTS = 8  # of each side, since straight lines bend from one coordinate system to another
LEAST_SHARE = 0.001
"""Part of the smaller footprint from which two overlap: neighbours that touch share nothing but rounding."""


@dataclass(frozen=True, eq=False)
class Footprint:
    """The outline of a georeferenced image.

    Attributes:
        name: Of the image.
        outline: ``(N, 2)`` ground x, y of its edge, all the way round.
        epsg: EPSG number of the coordinate system; None where the file names none.
    """

    name: str
    outline: Points
    epsg: int | None


def footprint_of(name: str, path: Path) -> Footprint | None:
    """The footprint of an image; None where it carries no position.

    Raises:
        DataError: The file cannot be read, or its tags are broken.
    """
    tags = read_geotags(path)
    if tags.transform is None:
        return None
    width, height = image_size(path)
    along = np.linspace(0, 1, _EDGE_POINTS, endpoint=False)
    zero, one = np.zeros_like(along), np.ones_like(along)
    columns = np.concatenate([along, one, 1 - along, zero]) * width
    rows = np.concatenate([zero, along, one, 1 - along]) * height
    outline = np.column_stack([columns, rows, np.ones(len(rows))]) @ tags.transform.T
    return Footprint(name, outline, tags.epsg)


def overlaps(test: Sequence[Footprint], train: Sequence[Footprint]) -> tuple[list[tuple[str, str, float]], int]:
    """Pairs of footprints with a common area.

    Footprints in different coordinate systems are brought to longitude and latitude where ``pyproj`` is installed, and
    are not compared where it is not, or where a file does not name its system.

    Returns:
        Test image, training image and the part of the smaller footprint they share; and how many pairs of images
        could not be compared.
    """
    found: list[tuple[str, str, float]] = []
    apart = 0
    for epsg in sorted({entry.epsg for entry in test}, key=str):
        own = [entry for entry in test if entry.epsg == epsg]
        for other in sorted({entry.epsg for entry in train}, key=str):
            theirs = [entry for entry in train if entry.epsg == other]
            if epsg == other:
                found += _overlapping(own, theirs)
                continue
            mine, moved = _geographic(own), _geographic(theirs)
            if mine is None or moved is None:
                apart += len(own) * len(theirs)
            else:
                found += _overlapping(mine, moved)
    return found, apart


def shared_area(first: Points, second: Points) -> float:
    """Area common to two convex outlines, by cutting the first along each edge of the second."""
    if _area(second) < 0:
        second = second[::-1]
    left = first
    for start, end in zip(second, np.roll(second, -1, axis=0), strict=True):
        if len(left) < 3:
            return 0.0
        side = (end[0] - start[0]) * (left[:, 1] - start[1]) - (end[1] - start[1]) * (left[:, 0] - start[0])
        after, beyond = np.roll(left, -1, axis=0), np.roll(side, -1)
        kept: list[Points] = []
        for point, following, here, there in zip(left, after, side, beyond, strict=True):
            if here >= 0:
                kept.append(point)
            if (here > 0 > there) or (here < 0 < there):
                kept.append(point + (following - point) * (here / (here - there)))
        left = np.asarray(kept).reshape(-1, 2)
    return abs(_area(left)) if len(left) >= 3 else 0.0


def _overlapping(test: Sequence[Footprint], train: Sequence[Footprint]) -> Iterator[tuple[str, str, float]]:
    low = np.array([entry.outline.min(axis=0) for entry in train]).reshape(-1, 2)
    high = np.array([entry.outline.max(axis=0) for entry in train]).reshape(-1, 2)
    for entry in test:
        near = (low < entry.outline.max(axis=0)).all(axis=1) & (high > entry.outline.min(axis=0)).all(axis=1)
        for index in np.flatnonzero(near):
            other = train[int(index)]
            # far from the origin the products of coordinates would lose the difference
            origin = entry.outline[0]
            smaller = min(abs(_area(entry.outline - origin)), abs(_area(other.outline - origin)))
            share = shared_area(entry.outline - origin, other.outline - origin) / max(smaller, 1e-300)
            if share >= LEAST_SHARE:
                yield entry.name, other.name, min(share, 1.0)


def _geographic(entries: Sequence[Footprint]) -> list[Footprint] | None:
    if entries[0].epsg is None:
        return None
    try:
        from pyproj import CRS, Transformer
    except ImportError:
        return None
    change = Transformer.from_crs(CRS.from_epsg(entries[0].epsg), CRS.from_epsg(4326), always_xy=True)
    moved = []
    for entry in entries:
        x, y = change.transform(entry.outline[:, 0], entry.outline[:, 1])
        moved.append(Footprint(entry.name, np.column_stack([x, y]), 4326))
    return moved


def _area(outline: Points) -> float:
    x, y = outline.T
    return float((x * np.roll(y, -1) - np.roll(x, -1) * y).sum() / 2)
