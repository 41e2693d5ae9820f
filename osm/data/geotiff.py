"""What a GeoTIFF says about its place and its missing pixels, read from its tags alone."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from osm.data.images import open_tiff
from osm.errors import DataError

_PIXEL_SCALE, _TIEPOINT, _TRANSFORMATION, _GEO_KEYS, _GDAL_NODATA = 33550, 33922, 34264, 34735, 42113
_RASTER_TYPE, _GEOGRAPHIC_CRS, _PROJECTED_CRS = 1025, 2048, 3072
_PIXEL_IS_POINT, _USER_DEFINED = 2, 32767


@dataclass(frozen=True, eq=False)
class GeoTags:
    """The geographic tags of an image; every field is None where the file does not state it.

    Args:
        transform: ``(2, 3)``: ground x, y of continuous pixel column, row (edges, not centres).
        epsg: EPSG number of the coordinate system.
        nodata: Value of missing pixels (GDAL's tag), if a pixel can have it.
    """

    transform: npt.NDArray[np.float64] | None = None
    epsg: int | None = None
    nodata: float | None = None


def read_geotags(path: Path) -> GeoTags:
    """Read the tags of a TIFF; any other image has none.

    Source: OGC 19-008r4, GeoTIFF Standard 1.1, and GDAL's ``GDAL_NODATA``.

    Raises:
        DataError: The TIFF cannot be read, or its tags contradict the standard.
    """
    with open_tiff(path) as tiff:
        if tiff is None:
            return GeoTags()
        page = tiff.pages.first
        tags = {code: tag.value for code in _CODES if (tag := page.tags.get(code)) is not None}
        dtype = page.dtype
    try:
        keys = tags.get(_GEO_KEYS, ())
        # a directory of shorts: four of header, then (key, place of the value, count, value) each
        stated = {keys[i]: keys[i + 3] for i in range(4, len(keys) - 3, 4) if keys[i + 1] == 0}
        transform = _transform(tags, is_point=stated.get(_RASTER_TYPE) == _PIXEL_IS_POINT)
        epsg = stated.get(_PROJECTED_CRS, stated.get(_GEOGRAPHIC_CRS))
        text = str(tags.get(_GDAL_NODATA, "")).strip("\0 ")
        nodata = possible(float(text), dtype) if text else None
        return GeoTags(transform, None if epsg == _USER_DEFINED else epsg, nodata)
    except (ValueError, TypeError, IndexError) as error:
        raise DataError(
            path,
            found=f"broken GeoTIFF tags ({error})",
            expected="tags as in the GeoTIFF standard",
            mend="write the file again, for example with gdal_translate",
        ) from error


def possible(nodata: float, dtype: np.dtype[Any] | None) -> float | None:
    """A stated value of missing pixels; None where no pixel of this type can have it, so that it states nothing."""
    if dtype is None or dtype.kind not in "biu":
        return nodata
    least, most = (0, 1) if dtype.kind == "b" else (np.iinfo(dtype).min, np.iinfo(dtype).max)
    return nodata if nodata.is_integer() and least <= nodata <= most else None


def offset_px(first: GeoTags, second: GeoTags, width_px: int, height_px: int) -> float | None:
    """Largest distance of the same corner in two images, in pixels of the first; None if one has no place."""
    if first.transform is None or second.transform is None:
        return None
    corners = np.asarray([[0, 0, 1], [width_px, 0, 1], [0, height_px, 1], [width_px, height_px, 1]], dtype=float)
    ground = corners @ (first.transform - second.transform).T
    return float(np.abs(np.linalg.solve(first.transform[:, :2], ground.T)).max())


_CODES = (_PIXEL_SCALE, _TIEPOINT, _TRANSFORMATION, _GEO_KEYS, _GDAL_NODATA)


def _transform(tags: dict[int, tuple[float, ...]], *, is_point: bool) -> npt.NDArray[np.float64] | None:
    if _TRANSFORMATION in tags:
        matrix = np.asarray(tags[_TRANSFORMATION], dtype=float).reshape(4, 4)[:2, [0, 1, 3]]
    elif _PIXEL_SCALE in tags and _TIEPOINT in tags:
        scale_x, scale_y = tags[_PIXEL_SCALE][:2]
        column, row, _, x, y, _ = tags[_TIEPOINT][:6]
        matrix = np.asarray([[scale_x, 0, x - column * scale_x], [0, -scale_y, y + row * scale_y]], dtype=float)
    else:
        return None
    if not np.isfinite(matrix).all() or abs(np.linalg.det(matrix[:, :2])) == 0:
        raise ValueError("a pixel without extent")
    if is_point:
        # tags speak of pixel centres: move to the corner of the pixel
        matrix[:, 2] -= matrix[:, :2] @ np.asarray([0.5, 0.5])
    return matrix
