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
    place = _project(info, columns, rows)
    if place is None:
        return None
    lon, lat = (np.asarray(part, dtype=np.float64) for part in to_degrees.transform(*place))
    reached = (np.isfinite(lon) & np.isfinite(lat)).all(axis=0)
    lon, lat = np.where(reached, lon, 0), np.where(reached, lat, 0)
    _, _, extents = pyproj.Geod(ellps="WGS84").inv(lon[[1, 3]], lat[[1, 3]], lon[[2, 4]], lat[[2, 4]])
    placed = np.stack([lon[0], lat[0], *extents], axis=1)
    placed[~reached] = np.nan
    return np.asarray(placed)


def _project(info: RasterInfo, columns: Doubles, rows: Doubles) -> tuple[Doubles, Doubles] | None:
    """Coordinates in the scene's own system; None where its control points determine none."""
    if info.transform is not None:
        x, y = np.tensordot(info.transform, np.stack([columns, rows, np.ones_like(columns)]), axes=1)
        return x, y
    from scipy.interpolate import RBFInterpolator

    pixels = np.array([info.width_px, info.height_px], dtype=np.float64)
    try:
        # passes through every point, as a polynomial over a scene of 250 km would not
        surface = RBFInterpolator(info.gcps[:, :2] / pixels, info.gcps[:, 2:], kernel="thin_plate_spline")
        found = surface(np.stack([columns.ravel(), rows.ravel()], axis=1) / pixels)
    except (ValueError, np.linalg.LinAlgError):
        return None
    return found[:, 0].reshape(columns.shape), found[:, 1].reshape(columns.shape)
