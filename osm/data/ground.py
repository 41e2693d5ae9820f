"""Where on the ground the pixels of a scene lie: by its transform, or by its ground control points.

Pixels are continuous column and row: edges, not centres. pyproj and rasterio (extra ``geo``) are imported where they
are needed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from osm.data.raster import RasterInfo
from osm.errors import DataError

Points = npt.NDArray[np.float64]

#: Ground control points from which on a surface is laid through all of them, in place of a polynomial near them: over
#: the 250 km of a Sentinel-1 product a polynomial misses them.
MANY_POINTS = 10
_WGS84 = 4326


@dataclass(frozen=True, eq=False)
class Place:
    """The way from pixels to the ground.

    Attributes:
        crs: The scene's coordinate system: ``EPSG:n`` where it has a number, else WKT.
        name: Its name in words.
        to_ground: (N, 2) pixel column, row → (N, 2) x, y in ``crs``.
        to_lonlat: (N, 2) x, y in ``crs`` → (N, 2) longitude, latitude, WGS 84; not finite where there is none.
    """

    crs: str
    name: str
    to_ground: Callable[[Points], Points]
    to_lonlat: Callable[[Points], Points]

    def lonlat(self, pixels: npt.ArrayLike) -> Points:
        """(N, 2) pixel column, row → longitude, latitude."""
        return self.to_lonlat(self.to_ground(np.asarray(pixels, dtype=np.float64).reshape(-1, 2)))


def has_place(info: RasterInfo) -> bool:
    """Whether a file says where on the ground it lies; control points that pin nothing down do not."""
    if info.crs_wkt is None or (info.transform is None and not len(info.gcps)):
        return False
    try:
        to_ground(info, np.zeros((1, 2)))
    except DataError:
        return False
    return True


def _fault(gcps: Points) -> str:
    """Why control points pin nothing down; empty if nothing speaks against them."""
    if not np.isfinite(gcps).all():
        return "some are not finite"
    away = gcps - gcps[0]
    flat = [
        side for side, part in (("pixels", away[:, :2]), ("places", away[:, 2:])) if np.linalg.matrix_rank(part) < 2
    ]
    return f"their {' and '.join(flat)} lie in one line" if flat else ""


def open_place(info: RasterInfo) -> Place | None:
    """The place of a scene; None if it states none.

    Raises:
        DataError: Its coordinate system does not lead to longitude and latitude, or its ground control points pin
            nothing down.
    """
    if info.crs_wkt is None or (info.transform is None and not len(info.gcps)):
        return None
    if info.transform is None:
        to_ground(info, np.zeros((1, 2)))  # says here, and not at the first box, that it cannot
    return place_in(info.path, info.crs_wkt, partial(to_ground, info))


def place_in(path: Path, crs: str, onto_ground: Callable[[Points], Points]) -> Place:
    """A place in a coordinate system.

    Args:
        path: The scene, for the message.
        crs: The system, as pyproj takes it.
        onto_ground: As in ``Place``.

    Raises:
        DataError: The system does not lead to longitude and latitude.
    """
    import pyproj

    try:
        system = pyproj.CRS.from_user_input(crs)
        change = pyproj.Transformer.from_crs(system, pyproj.CRS.from_epsg(_WGS84), always_xy=True)
    except pyproj.exceptions.ProjError as error:
        found = f"a coordinate system that leads nowhere ({' '.join(str(error).split())[:120]})"
        raise nowhere(path, found) from error
    number = system.to_epsg()
    name = f"EPSG:{number}" if number else str(system.to_wkt())
    return Place(name, str(system.name), onto_ground, partial(_to_lonlat, change))


def nowhere(path: Path, found: str) -> DataError:
    """The error of a scene whose place is none."""
    return DataError(
        path,
        found=found,
        expected="one that can be turned into longitude and latitude",
        mend="name the true one, for example with gdal_edit -a_srs",
    )


def _to_lonlat(change: Any, ground: Points) -> Points:
    x, y = change.transform(ground[:, 0].tolist(), ground[:, 1].tolist())
    degrees = np.column_stack([x, y]).astype(np.float64).reshape(-1, 2)
    # a scene in degrees may go on beyond the 180th meridian
    beyond = np.isfinite(degrees[:, 0]) & (np.abs(degrees[:, 0]) > 180)
    degrees[beyond, 0] = (degrees[beyond, 0] + 180) % 360 - 180
    return degrees


def extents(place: Place, boxes: npt.NDArray[Any]) -> tuple[Points, Points]:
    """How far boxes reach along the ellipsoid, whatever the projection, and in which direction.

    Args:
        place: Of the scene.
        boxes: (N, 4) xyxy in scene pixels.

    Returns:
        (N, 2) metres along rows and along columns, and (N, 2) the directions of both in degrees clockwise from north;
        NaN where the coordinate system does not reach.
    """
    import pyproj

    x1, y1, x2, y2 = np.asarray(boxes, dtype=np.float64).reshape(-1, 4).T
    x, y = (x1 + x2) / 2, (y1 + y2) / 2
    left, right, top, bottom = (place.lonlat(np.column_stack(side)) for side in ((x1, y), (x2, y), (x, y1), (x, y2)))
    reached = np.isfinite(np.hstack([left, right, top, bottom])).all(axis=1)
    globe = pyproj.Geod(ellps="WGS84")
    metres, directions = np.full((2, len(x), 2), np.nan)
    for column, (start, end) in enumerate(((left, right), (bottom, top))):
        ends = (values.tolist() for values in (*start[reached].T, *end[reached].T))
        directions[reached, column], _, metres[reached, column] = globe.inv(*ends)
    return metres, directions


def crs_name(info: RasterInfo) -> str | None:
    """Short name of a scene's coordinate system; None if it has none."""
    if info.crs_wkt is None:
        return None
    import pyproj

    crs = pyproj.CRS.from_wkt(info.crs_wkt)
    code = crs.to_epsg()
    return str(crs.name) if code is None else f"EPSG:{code}"


def to_ground(info: RasterInfo, pixels: Points) -> Points:
    """Ground x, y ``(N, 2)`` of pixels.

    Raises:
        DataError: The scene's ground control points pin nothing down.
    """
    if info.transform is not None:
        return np.asarray(pixels @ info.transform[:, :2].T + info.transform[:, 2])
    if not len(pixels):
        return np.empty((0, 2))
    with _pinned(info) as points:
        # rasterio moves to the centres of pixels unless told the corner
        x, y = points.xy(pixels[:, 1].tolist(), pixels[:, 0].tolist(), offset="ul")
    return np.column_stack([x, y]).astype(np.float64)


def to_pixels(info: RasterInfo, ground: Points) -> Points:
    """Pixel column, row ``(N, 2)`` of ground places.

    Raises:
        DataError: The scene's ground control points pin nothing down.
    """
    if info.transform is not None:
        return np.asarray(np.linalg.solve(info.transform[:, :2], (ground - info.transform[:, 2]).T).T)
    if not len(ground):
        return np.empty((0, 2))
    with _pinned(info) as points:
        rows, columns = points.rowcol(ground[:, 0], ground[:, 1], op=lambda value: value)
    return np.column_stack([columns, rows]).astype(np.float64)


@contextmanager
def _pinned(info: RasterInfo) -> Iterator[Any]:
    import rasterio
    from rasterio.control import GroundControlPoint
    from rasterio.transform import GCPTransformer

    problem = f"{len(info.gcps)} ground control points that pin nothing down"
    if fault := _fault(info.gcps):
        raise nowhere(info.path, f"{problem}: {fault}")
    pinned = [GroundControlPoint(row=row, col=column, x=x, y=y) for column, row, x, y in info.gcps.tolist()]
    try:
        # within Env GDAL's messages become errors of ours alone; outside they go to the terminal beside them
        with rasterio.Env(), GCPTransformer(pinned, tps=len(pinned) >= MANY_POINTS) as transformer:
            yield transformer
    except Exception as error:  # GDAL's own, whose class differs between versions of rasterio
        raise nowhere(info.path, f"{problem} ({error})") from error
