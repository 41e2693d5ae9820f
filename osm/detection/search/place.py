"""Where on the ground a scene lies, how large and how turned what is on it is, and when it was taken."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from osm.data.ground import Place, Points, extents, nowhere, open_place
from osm.data.raster import RasterInfo
from osm.errors import DataError

#: Sides that differ by less than this factor tell no direction.
NEARLY_SQUARE = 1.2


def find_place(info: RasterInfo) -> Place | None:
    """How pixels of a scene go to the ground; None if it states no place.

    Raises:
        DataError: The coordinate system does not lead to longitude and latitude, or not at the scene's corners.
    """
    try:
        place = open_place(info)
        if place is None:
            return None
        degrees = place.lonlat([[x, y] for x in (0, info.width_px) for y in (0, info.height_px)])
        if not np.isfinite(degrees).all() or (np.abs(degrees[:, 1]) > 90.000001).any():
            raise nowhere(info.path, f"corners outside of what {place.name} is for")
    except DataError as error:
        mend = f"{error.mend}, or search in pixels alone with --no-position"
        raise DataError(error.where, found=error.found, expected=error.expected, mend=mend) from error
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
    metres, directions = extents(place, boxes)
    along_row, along_column = metres.T
    length_m, width_m = metres.max(axis=1), metres.min(axis=1)
    along = np.where(along_row >= along_column, directions[:, 0], directions[:, 1])
    heading = np.where(length_m < NEARLY_SQUARE * width_m, np.nan, along % 180.0)
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
