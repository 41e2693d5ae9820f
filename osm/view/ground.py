"""Where a box lies on the ground, and how large it is there."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from osm.data.raster import RasterInfo

Doubles = npt.NDArray[np.float64]


def on_ground(info: RasterInfo | None, boxes: npt.NDArray[Any]) -> Doubles | None:
    """Place and size of boxes, along the WGS 84 ellipsoid whatever the scene's coordinate system.

    Args:
        info: The scene's header.
        boxes: ``(N, 4)`` xyxy in scene pixels.

    Returns:
        ``(N, 4)``: longitude and latitude of the centre in degrees, and the extent along rows and along columns in
        metres; NaN where the coordinate system does not reach. None where the scene states no place, or what reads
        coordinate systems is not installed.
    """
    if info is None or info.crs_wkt is None or (info.transform is None and not len(info.gcps)):
        return None
    try:
        import pyproj
    except ImportError:
        return None
    x1, y1, x2, y2 = np.asarray(boxes, dtype=np.float64).reshape(-1, 4).T
    middle_x, middle_y = (x1 + x2) / 2, (y1 + y2) / 2
    columns = np.stack([middle_x, x1, x2, middle_x, middle_x])
    rows = np.stack([middle_y, middle_y, middle_y, y1, y2])
    try:
        to_degrees = pyproj.Transformer.from_crs(info.crs_wkt, "EPSG:4326", always_xy=True)
    except pyproj.exceptions.ProjError:
        return None
    lon, lat = (np.asarray(part, dtype=np.float64) for part in to_degrees.transform(*_project(info, columns, rows)))
    reached = np.isfinite(lon) & np.isfinite(lat)
    lon, lat = np.where(reached, lon, np.nan), np.where(reached, lat, np.nan)
    earth = pyproj.Geod(ellps="WGS84")
    extents = [_distance(earth, lon[[a, b]], lat[[a, b]]) for a, b in ((1, 2), (3, 4))]
    return np.stack([lon[0], lat[0], *extents], axis=1)


def _project(info: RasterInfo, columns: Doubles, rows: Doubles) -> tuple[Doubles, Doubles]:
    if info.transform is not None:
        x, y = np.tensordot(info.transform, np.stack([columns, rows, np.ones_like(columns)]), axes=1)
        return x, y
    from rasterio.control import GroundControlPoint
    from rasterio.transform import GCPTransformer

    points = [GroundControlPoint(row=row, col=column, x=x, y=y) for column, row, x, y in info.gcps]
    with GCPTransformer(points) as transformer:
        x, y = transformer.xy(rows.ravel(), columns.ravel(), offset="ul")
    return np.asarray(x).reshape(columns.shape), np.asarray(y).reshape(columns.shape)


def _distance(earth: Any, lon: Doubles, lat: Doubles) -> Doubles:
    known = np.isfinite(lon).all(axis=0) & np.isfinite(lat).all(axis=0)
    metres = np.full(lon.shape[1], np.nan)
    if known.any():
        _, _, found = earth.inv(lon[0][known], lat[0][known], lon[1][known], lat[1][known])
        metres[known] = found
    return metres
