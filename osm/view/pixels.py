"""The pixels of one scene in 8 bits: any window, and the whole of it reduced, in bounded memory."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from osm.data.geotiff import read_geotags
from osm.data.images import image_size, read_image, to_gray
from osm.data.raster import Raster, RasterInfo
from osm.errors import DataError, EnvironmentProblem
from osm.view.mapping import Mapping8, read_radiometry
from osm.view.pyramid import TILE_PX, Pyramid, box_mean

#: Scenes up to this size are read at once and kept.
WHOLE_PX = 12_000_000
#: From this level on, tiles are made of a reduced scene that is computed once; below it, read from disk.
REDUCED_LEVEL = 3
#: Pixels that are read at a time while a scene is reduced.
_BATCH_PX = 6_000_000
#: Windows from which the limits of a large scene are taken: so many along each axis, of so many pixels a side.
_SAMPLES, _SAMPLE_PX = 8, 256
#: Threads that decode at once; memory grows with them.
_DECODERS = threading.BoundedSemaphore(2)


class ScenePixels:
    """One scene as the page shows it. May be shared between threads.

    A scene of up to ``WHOLE_PX`` is mapped to 8 bits as the detectors' scenes are. Of a larger one the limits are
    those that the record states, or else taken from a regular sample of 64 windows of 256 × 256 pixels; percentiles
    then differ a little.

    Args:
        path: The image.
        radiometry: As a record spells it; possibly empty.
        size_px: Columns and rows that the record states.

    Attributes:
        pyramid: Its tiles.
        info: What the header says, if rasterio is installed.
        radiometry: The spelling that is used.
        note: What to say about it, possibly empty.

    Raises:
        DataError: The image is missing, broken, or of another size.
        EnvironmentProblem: It is large, and rasterio is not installed.
    """

    def __init__(self, path: Path, radiometry: str, size_px: tuple[int, int]) -> None:
        self.path = path
        self._whole: npt.NDArray[np.uint8] | None = None
        self._reduced: npt.NDArray[np.uint8] | None = None
        self._lock = threading.Lock()
        #: What could not be read while the scene was reduced.
        self.broken = ""
        with _DECODERS:
            self.info = _header(path)
            found = (self.info.width_px, self.info.height_px) if self.info else image_size(path)
            if found != size_px:
                raise DataError(
                    path,
                    found=f"{found[0]}×{found[1]} pixels",
                    expected=f"{size_px[0]}×{size_px[1]}, as the record says",
                    mend="give the image that was searched",
                )
            self.pyramid = Pyramid(*found)
            stored = _read_whole(path) if found[0] * found[1] <= WHOLE_PX else None
            if stored is not None:
                nodata = self.info.nodata if self.info else read_geotags(path).nodata
                asked = read_radiometry(radiometry, str(stored.dtype))
                if asked.limits is None:
                    self._whole = asked.radiometry.apply_colour(stored, nodata=nodata)
                else:
                    self._whole = Mapping8.of(asked.radiometry, stored, nodata, asked.limits).apply(stored)
            else:
                with Raster(path) as raster:
                    self.info = raster.info
                    asked = read_radiometry(radiometry, raster.info.dtype)
                    self._bands = _shown_bands(raster.info.bands)
                    known = asked.limits is not None or asked.radiometry.kind in ("none", "linear")
                    sample = np.zeros(0) if known else _sample(raster, self._bands)
                    self._mapping = Mapping8.of(asked.radiometry, sample, raster.info.nodata, asked.limits)
        self.radiometry, self.note = str(asked.radiometry), asked.note

    def window(self, window: tuple[int, int, int, int]) -> npt.NDArray[np.uint8]:
        """Pixels at full resolution.

        Args:
            window: x1, y1, x2, y2 within the scene; of bounded size.

        Returns:
            ``(H, W)``, or ``(H, W, 3)`` of a colour image.

        Raises:
            DataError: That part of the file is broken.
        """
        x1, y1, x2, y2 = window
        if self._whole is not None:
            return self._whole[y1:y2, x1:x2]
        with _DECODERS, Raster(self.path) as raster:
            return self._mapping.apply(raster.read(window, bands=self._bands))

    def tile(self, level: int, column: int, row: int) -> npt.NDArray[np.uint8]:
        """A tile of the pyramid.

        Raises:
            DataError: That part of the file is broken.
            LookupError: There is no such tile.
        """
        window = self.pyramid.window(level, column, row)
        if window is None:
            raise LookupError(f"tile {column}, {row} of level {level}")
        if level < REDUCED_LEVEL or self._whole is not None:
            return box_mean(self.window(window), 1 << level)
        reduced = self._reduce()
        x1, y1, x2, y2 = (-(-edge >> REDUCED_LEVEL) for edge in window)
        return box_mean(
            reduced[y1:y2, x1:x2],
            1 << (level - REDUCED_LEVEL),
            row_weights=_weights(self.pyramid.height_px)[y1:y2],
            column_weights=_weights(self.pyramid.width_px)[x1:x2],
        )

    def _reduce(self) -> npt.NDArray[np.uint8]:
        """The whole scene at ``REDUCED_LEVEL``, read once in strips; a strip that cannot be read stays black."""
        with self._lock:
            if self._reduced is not None:
                return self._reduced
            width_px, height_px = self.pyramid.width_px, self.pyramid.height_px
            columns, rows = self.pyramid.size(REDUCED_LEVEL)
            shape = (rows, columns) if len(self._bands) == 1 else (rows, columns, len(self._bands))
            reduced = np.zeros(shape, dtype=np.uint8)
            factor = 1 << REDUCED_LEVEL
            step = max(factor, _BATCH_PX // width_px // TILE_PX * TILE_PX or _BATCH_PX // width_px // factor * factor)
            with _DECODERS, Raster(self.path) as raster:
                for y1 in range(0, height_px, step):
                    y2 = min(y1 + step, height_px)
                    try:
                        strip = self._mapping.apply(raster.read((0, y1, width_px, y2), bands=self._bands))
                    except DataError as error:
                        self.broken = self.broken or error.line
                        continue
                    mean = box_mean(strip, factor)
                    reduced[y1 // factor : y1 // factor + len(mean)] = mean
            self._reduced = reduced
            return reduced


def _header(path: Path) -> RasterInfo | None:
    try:
        with Raster(path) as raster:
            return raster.info
    except EnvironmentProblem:
        return None


def _read_whole(path: Path) -> npt.NDArray[Any] | None:
    """A small image as the detectors read it; None of a format that only GDAL knows."""
    try:
        image_size(path)
    except DataError:
        return None
    stored = read_image(path)
    try:
        return to_gray(stored, path)
    except DataError:
        bands = _shown_bands(stored.shape[2])
        return np.ascontiguousarray(stored[:, :, 0] if len(bands) == 1 else stored[:, :, :3])


def _shown_bands(count: int) -> list[int]:
    # two polarisations are no colours: the first of them
    return [1, 2, 3] if count >= 3 else [1]


def _sample(raster: Raster, bands: list[int]) -> npt.NDArray[Any]:
    """Pixels of windows spread over the scene, in one row."""
    width_px, height_px = raster.info.width_px, raster.info.height_px
    side_x, side_y = min(_SAMPLE_PX, width_px), min(_SAMPLE_PX, height_px)
    lefts = np.unique(np.linspace(0, width_px - side_x, _SAMPLES).astype(int))
    tops = np.unique(np.linspace(0, height_px - side_y, _SAMPLES).astype(int))
    found, broken = [], None
    for top in tops:
        for left in lefts:
            try:
                found.append(raster.read((left, top, left + side_x, top + side_y), bands=bands).ravel())
            except DataError as error:
                broken = error
    if not found and broken is not None:
        raise broken
    return np.concatenate(found)


def _weights(extent_px: int) -> npt.NDArray[np.float64]:
    """How many pixels of the scene each of the reduced scene stands for, along one axis."""
    factor = 1 << REDUCED_LEVEL
    weights = np.full(-(-extent_px // factor), float(factor))
    weights[-1] = extent_px - factor * (len(weights) - 1)
    return weights
