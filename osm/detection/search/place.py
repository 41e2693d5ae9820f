"""Where on the ground a scene lies, how large and how turned what is on it is, and when it was taken."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from osm.data.raster import RasterInfo
from osm.errors import DataError

Points = npt.NDArray[np.float64]

#: Sides that differ by less than this factor tell no direction.
NEARLY_SQUARE = 1.2
#: Ground control points from which on a surface is laid through all of them, in place of a polynomial near them.
_MANY_POINTS = 10


@dataclass(frozen=True, eq=False)
class Place:
    """The way from pixels to the ground.

    Attributes:
        crs: The scene's coordinate system: ``EPSG:n`` where it has a number, else WKT.
        to_ground: (N, 2) continuous pixel column, row → (N, 2) x, y in ``crs``.
        to_lonlat: (N, 2) x, y in ``crs`` → (N, 2) longitude, latitude, WGS 84.
    """

    crs: str
    to_ground: Callable[[Points], Points]
    to_lonlat: Callable[[Points], Points]

    def lonlat(self, pixels: npt.ArrayLike) -> Points:
        """(N, 2) pixel column, row → longitude, latitude."""
        return self.to_lonlat(self.to_ground(np.asarray(pixels, dtype=np.float64).reshape(-1, 2)))


def find_place(info: RasterInfo) -> Place | None:
    """How pixels of a scene go to the ground, by its transform or its ground control points.

    Returns:
        None if the scene has no coordinate system, or nothing that pins its pixels to one.

    Raises:
        DataError: The coordinate system does not lead to longitude and latitude, or not at the scene's corners.
    """
    if info.crs_wkt is None or (info.transform is None and not len(info.gcps)):
        return None
    import pyproj

    try:
        system = pyproj.CRS.from_wkt(info.crs_wkt)
        change = pyproj.Transformer.from_crs(system, pyproj.CRS.from_epsg(4326), always_xy=True)
    except pyproj.exceptions.ProjError as error:
        raise _nowhere(
            info, f"a coordinate system that leads nowhere ({' '.join(str(error).split())[:120]})"
        ) from error
    number = system.to_epsg()
    to_ground = _by_transform(info.transform) if info.transform is not None else _by_points(info)

    def to_lonlat(ground: Points) -> Points:
        x, y = change.transform(ground[:, 0].tolist(), ground[:, 1].tolist())
        degrees = np.column_stack([x, y]).astype(np.float64).reshape(-1, 2)
        # a scene in degrees may go on beyond the 180th meridian
        beyond = np.isfinite(degrees[:, 0]) & (np.abs(degrees[:, 0]) > 180)
        degrees[beyond, 0] = (degrees[beyond, 0] + 180) % 360 - 180
        return degrees

    place = Place(f"EPSG:{number}" if number else str(system.to_wkt()), to_ground, to_lonlat)
    corners = [[x, y] for x in (0, info.width_px) for y in (0, info.height_px)]
    degrees = place.lonlat(corners)
    if not np.isfinite(degrees).all() or (np.abs(degrees[:, 1]) > 90.000001).any():
        raise _nowhere(info, f"corners outside of what {system.name} is for")
    return place


def measure(place: Place, boxes: npt.NDArray[Any]) -> tuple[Points, Points, Points]:
    """Sizes of boxes along the ellipsoid, and the direction of their long sides.

    Args:
        place: Of the scene.
        boxes: (N, 4) xyxy in scene pixels.

    Returns:
        Length and width in metres, (N,) each, and the heading in degrees clockwise from north in [0, 180): NaN where
        the sides differ by less than a factor of ``NEARLY_SQUARE``.
    """
    import pyproj

    box = np.asarray(boxes, dtype=np.float64).reshape(-1, 4)
    x1, y1, x2, y2 = box.T
    x, y = (x1 + x2) / 2, (y1 + y2) / 2
    left, right, top, bottom = (place.lonlat(np.column_stack(side)) for side in ((x1, y), (x2, y), (x, y1), (x, y2)))
    globe = pyproj.Geod(ellps="WGS84")
    along_row, _, row_m = (np.asarray(v) for v in globe.inv(*_apart(left), *_apart(right)))
    along_column, _, column_m = (np.asarray(v) for v in globe.inv(*_apart(bottom), *_apart(top)))
    length_m, width_m = np.maximum(row_m, column_m), np.minimum(row_m, column_m)
    heading = np.where(row_m >= column_m, along_row, along_column) % 180.0
    heading = np.where(length_m < NEARLY_SQUARE * width_m, np.nan, heading)
    return length_m, width_m, heading


def acquired(path: Path, tags: Mapping[str, str]) -> str | None:
    """When a scene was taken, as ISO 8601; None if neither its name nor its tags say.

    The name of a Sentinel-1 product counts first: it is what the satellite's operator wrote, in UTC. A TIFF's own date
    counts last, since it may be that of the file.
    """
    for name in (path.name, *(parent.name for parent in list(path.parents)[:2])):
        found = re.search(r"s1[a-d][-_].*?(\d{8}t\d{6})", name.lower())
        if found:
            return datetime.strptime(found.group(1), "%Y%m%dt%H%M%S").isoformat() + "Z"
    upper = {key.upper(): value.strip() for key, value in tags.items()}
    named = [key for key in upper if "ACQUISITION" in key and ("TIME" in key or "DATE" in key)]
    for key in (*sorted(named, key=lambda key: "END" in key or "STOP" in key), "TIFFTAG_DATETIME"):
        if time := _iso(upper.get(key, "")):
            return time
    return None


def _iso(text: str) -> str | None:
    zone = "Z" if text.endswith("Z") else ""
    bare = text.removesuffix("Z")
    for layout in ("%Y:%m:%d %H:%M:%S", "%Y%m%dT%H%M%S", "%Y-%m-%d"):
        try:
            return datetime.strptime(bare, layout).isoformat() + zone
        except ValueError:
            continue
    try:
        # Python 3.10 does not read fractions of other than 3 or 6 digits
        return datetime.fromisoformat(re.sub(r"\.\d+", "", bare)).isoformat() + zone
    except ValueError:
        return None


def _by_transform(transform: Points) -> Callable[[Points], Points]:
    def to_ground(pixels: Points) -> Points:
        return np.asarray(pixels @ transform[:, :2].T + transform[:, 2])

    return to_ground


def _by_points(info: RasterInfo) -> Callable[[Points], Points]:
    import rasterio
    from rasterio.control import GroundControlPoint
    from rasterio.transform import GCPTransformer

    pinned = [GroundControlPoint(row=row, col=column, x=x, y=y) for column, row, x, y in info.gcps.tolist()]

    def to_ground(pixels: Points) -> Points:
        if not len(pixels):
            return np.empty((0, 2))
        # a polynomial misses the points of a Sentinel-1 product; a thin plate spline goes through each
        # within Env GDAL's messages become errors of ours alone; outside they go to the terminal beside them
        with rasterio.Env(), GCPTransformer(pinned, tps=len(pinned) >= _MANY_POINTS) as transformer:
            x, y = transformer.xy(pixels[:, 1].tolist(), pixels[:, 0].tolist(), offset="ul")
        return np.column_stack([x, y]).astype(np.float64)

    try:
        to_ground(np.asarray([[0.0, 0.0]]))
    except Exception as error:  # GDAL's own, whose class differs between versions of rasterio
        raise _nowhere(info, f"{len(pinned)} ground control points that pin nothing down ({error})") from error
    return to_ground


def _apart(points: Points) -> tuple[list[float], list[float]]:
    return points[:, 0].tolist(), points[:, 1].tolist()


def _nowhere(info: RasterInfo, found: str) -> DataError:
    return DataError(
        info.path,
        found=found,
        expected="one that can be turned into longitude and latitude",
        mend="name the true one, for example with gdal_edit -a_srs, or search in pixels alone with --no-position",
    )
