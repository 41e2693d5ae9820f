"""Where a box lies on the ground, and how large it is there."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import numpy as np
import numpy.typing as npt

from osm.data.ground import Points, extents, open_place
from osm.data.raster import RasterInfo
from osm.errors import DataError


def on_ground(info: RasterInfo | None, boxes: npt.NDArray[Any]) -> Points | None:
    """Place and size of boxes, along the WGS 84 ellipsoid whatever the scene's coordinate system.

    Args:
        info: The scene's header.
        boxes: ``(N, 4)`` xyxy in scene pixels.

    Returns:
        ``(N, 4)``: longitude and latitude of the centre in degrees, and the extent along rows and along columns in
        metres; NaN where the coordinate system does not reach. None where the scene states no place, or what reads
        coordinate systems is not installed.
    """
    if info is None or find_spec("pyproj") is None:
        return None
    try:
        place = open_place(info)
    except DataError:  # the page is for looking: what has no place is shown without one
        return None
    if place is None:
        return None
    box = np.asarray(boxes, dtype=np.float64).reshape(-1, 4)
    placed = np.hstack([place.lonlat((box[:, :2] + box[:, 2:]) / 2), extents(place, box)[0]])
    placed[~np.isfinite(placed).all(axis=1)] = np.nan
    return placed
