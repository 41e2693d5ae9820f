"""Scenes on disk of any size, read window by window (GDAL by way of rasterio; extra ``geo``)."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt

from osm.data.geotiff import possible
from osm.data.images import MAX_PIXELS
from osm.errors import DataError, EnvironmentProblem

#: Formats that are opened. What points at other files or at the network (VRT, WMS, /vsicurl/ …) is not among them.
DRIVERS = ("GTiff", "PNG", "JPEG", "JP2OpenJPEG", "ENVI", "NITF", "HFA")
#: GDAL's cache of decoded blocks: memory must not grow with the scene.
CACHE_BYTES = 32 * 2**20
_KINDS = "a scene as GeoTIFF, PNG, JPEG, JPEG 2000, ENVI, NITF or IMG"


@dataclass(frozen=True, eq=False)
class RasterInfo:
    """What the header of a scene says.

    Attributes:
        path: The file.
        width_px: Columns.
        height_px: Rows.
        bands: Number of bands.
        dtype: NumPy's name of the type of a pixel: ``uint8``, ``uint16``, ``float32``, ``complex64``, …
        nodata: Value of missing pixels; None if the file states none, or one that no pixel of its type can have.
        crs_wkt: Coordinate system of ``transform``, or of ``gcps`` where there is no transform; None if there is none.
        transform: ``(2, 3)``: ground x, y of continuous pixel column, row (edges, not centres); None if there is none.
        gcps: ``(G, 4)`` ground control points: column, row, x, y; empty if there are none. GRD products of Sentinel-1
            carry these in place of a transform.
        tags: The file's metadata, as text.
    """

    path: Path
    width_px: int
    height_px: int
    bands: int
    dtype: str
    nodata: float | None
    crs_wkt: str | None
    transform: npt.NDArray[np.float64] | None
    gcps: npt.NDArray[np.float64]
    tags: dict[str, str]


class Raster:
    """An open scene; a context manager. Not to be shared between threads or processes: open one in each.

    Args:
        path: A local file of one of ``DRIVERS``.

    Attributes:
        info: What its header says.

    Raises:
        DataError: No such file, no scene, a header that claims more than ``MAX_PIXELS``.
        EnvironmentProblem: rasterio is not installed.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        rasterio = _rasterio()
        if not self.path.is_file():
            raise DataError(self.path, found="no such file", expected=_KINDS, mend="check the path")
        self._limits = rasterio.Env(
            GDAL_CACHEMAX=CACHE_BYTES,
            # neither side files nor the folder around a scene are looked at unasked
            GDAL_DISABLE_READDIR_ON_OPEN="EMPTY_DIR",
            GDAL_PAM_ENABLED="NO",
        )
        self._limits.__enter__()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
                # not rasterio.open, which takes a single driver
                self._file = rasterio.DatasetReader(str(self.path.resolve()), driver=list(DRIVERS))
            self.info = _info(self.path, self._file)
        except rasterio.errors.RasterioError as error:
            self._limits.__exit__(None, None, None)
            raise _broken(self.path, error) from error
        except BaseException:
            self._limits.__exit__(None, None, None)
            raise

    def read(
        self, window: tuple[int, int, int, int] | npt.NDArray[Any], bands: Sequence[int] | None = None
    ) -> npt.NDArray[Any]:
        """The pixels of a window, as stored.

        Args:
            window: x1, y1, x2, y2 in pixels, within the scene and not empty.
            bands: Numbers of bands, from 1; all if None.

        Returns:
            ``(H, W)`` for one band, else ``(H, W, bands)``.

        Raises:
            DataError: The window's part of the file is missing or broken.
            ValueError: The window leaves the scene or is empty.
        """
        rasterio = _rasterio()
        x1, y1, x2, y2 = (int(value) for value in window)
        if not (0 <= x1 < x2 <= self.info.width_px and 0 <= y1 < y2 <= self.info.height_px):
            raise ValueError(f"window {(x1, y1, x2, y2)} of a scene of {self.info.width_px}×{self.info.height_px}")
        chosen = list(bands) if bands is not None else list(range(1, self.info.bands + 1))
        place = rasterio.windows.Window(x1, y1, x2 - x1, y2 - y1)
        try:
            found = self._file.read(chosen, window=place)
        except (rasterio.errors.RasterioError, OSError, MemoryError) as error:
            raise _broken(self.path, error, f"the window x {x1} to {x2}, y {y1} to {y2}: ") from error
        return np.asarray(found[0] if len(chosen) == 1 else np.moveaxis(found, 0, -1))

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        self._limits.__exit__(None, None, None)

    def __enter__(self) -> Raster:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _rasterio() -> Any:
    try:
        import rasterio
        import rasterio.windows
    except ImportError as error:
        raise EnvironmentProblem(
            "rasterio",
            found="it is not installed",
            expected="what reads scenes window by window",
            mend="pip install 'osm-ssd[geo]'",
        ) from error
    return rasterio


def _info(path: Path, file: Any) -> RasterInfo:
    width_px, height_px = int(file.width), int(file.height)
    if width_px < 1 or height_px < 1 or width_px * height_px > MAX_PIXELS:
        file.close()
        raise DataError(
            path,
            found=f"a header that claims {width_px}×{height_px} pixels",
            expected=f"between 1 and {MAX_PIXELS:,} pixels",
            mend="download or write this file again, or cut the scene into parts",
        )
    points, points_crs = file.gcps
    pinned = [(point.col, point.row, point.x, point.y) for point in points]
    affine = file.transform
    placed = not affine.is_identity and affine.determinant != 0
    crs = file.crs if placed else points_crs if points else file.crs
    dtype = _numpy_name(file.dtypes[0])
    return RasterInfo(
        path=path,
        width_px=width_px,
        height_px=height_px,
        bands=int(file.count),
        dtype=dtype,
        nodata=None if file.nodata is None else possible(float(file.nodata), np.dtype(dtype)),
        crs_wkt=crs.to_wkt() if crs else None,
        transform=np.asarray([affine[0:3], affine[3:6]], dtype=np.float64) if placed else None,
        gcps=np.asarray(pinned, dtype=np.float64).reshape(-1, 4),
        tags={str(name): str(value) for name, value in file.tags().items()},
    )


def _numpy_name(name: str) -> str:
    # rasterio's word for GDAL's complex integers, which it reads as complex64
    return "complex64" if name.startswith("complex_int") else str(name)


def _broken(path: Path, error: BaseException, part: str = "") -> DataError:
    cause = error.__cause__ or error
    text = " ".join(str(cause).replace(str(path.resolve()), "it").replace(str(path), "it").split())[:160]
    if "not recognized as being in a supported" in text:
        text = "an empty file" if path.stat().st_size == 0 else "a file that is none of these by its content"
    return DataError(
        path,
        found=f"{part}{text or type(error).__name__}",
        expected=_KINDS,
        mend="download or write this file again",
    )
