"""The two scenes of a pair as sources of 8-bit windows, from memory or from disk."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from osm.data.eight_bit import AUTO, AUTO_DEEP, EightBit, ReadRule
from osm.data.images import mean_band, to_gray
from osm.data.limits import find_limits
from osm.data.patches import has_negatives, missing_pixels
from osm.data.radiometry import Radiometry
from osm.data.raster import Raster, RasterInfo
from osm.errors import DataError

Bytes = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]
Box = tuple[int, int, int, int]
"""x1, y1, x2, y2 in pixels."""

_LOOKS = 64
"""Rows that are looked at to tell whether three bands are one."""
_STRIPE_PX = 4 * 2**20
"""Pixels that are read at a time where the limits of a scene are looked for."""


class Source(Protocol):
    """A scene in 8 bits, window by window; threads may share it."""

    @property
    def size_px(self) -> tuple[int, int]:
        """Width and height."""

    @property
    def radiometry(self) -> Radiometry:
        """The mapping to 8 bits."""

    def read(self, box: Box) -> tuple[Bytes, Mask]:
        """Pixels ``(H, W)`` or ``(H, W, 3)`` of a window inside the scene, and which are missing ``(H, W)``."""


@dataclass(frozen=True, eq=False)
class MemorySource:
    """A scene that is held whole.

    Attributes:
        image: The scene.
    """

    image: EightBit

    @property
    def size_px(self) -> tuple[int, int]:
        """Width and height."""
        height, width = self.image.missing.shape
        return width, height

    @property
    def radiometry(self) -> Radiometry:
        """The mapping to 8 bits."""
        return self.image.radiometry

    def read(self, box: Box) -> tuple[Bytes, Mask]:
        """Views of a window."""
        part = (slice(box[1], box[3]), slice(box[0], box[2]))
        return self.image.pixels[part], self.image.missing[part]


@dataclass(frozen=True, eq=False)
class RasterSource:
    """A scene on disk. Each window is read anew, so that threads share nothing.

    Attributes:
        info: What its header says.
        bands: Numbers of the bands that are read, from 1.
        grey: Whether three bands become one.
        nodata: Value of missing pixels.
        zero_is_fill: Whether zeros are missing.
        radiometry: The mapping to 8 bits.
        limits: The values that become 0 and 255, as ``find_limits`` gives them.
    """

    info: RasterInfo
    bands: tuple[int, ...]
    grey: bool
    nodata: float | None
    zero_is_fill: bool
    radiometry: Radiometry
    limits: tuple[float, float] = (0.0, 1.0)

    @property
    def size_px(self) -> tuple[int, int]:
        """Width and height."""
        return self.info.width_px, self.info.height_px

    def read(self, box: Box) -> tuple[Bytes, Mask]:
        """Read a window.

        Raises:
            DataError: This part of the file is missing or broken.
        """
        image = self._stored(box)
        missing = missing_pixels(image, self.nodata, zero_is_fill=self.zero_is_fill)
        return self.radiometry.apply_between(image, *self.limits, nodata=self.nodata), missing

    def stripes(self) -> Iterator[npt.NDArray[Any]]:
        """The stored values from top to bottom, a few million at a time."""
        width_px, height_px = self.size_px
        rows = max(1, _STRIPE_PX // width_px)
        for top in range(0, height_px, rows):
            yield self._stored((0, top, width_px, min(top + rows, height_px)))

    def _stored(self, box: Box) -> npt.NDArray[Any]:
        with Raster(self.info.path) as raster:
            image = raster.read(box, self.bands)
        # a sample has shown that the bands are nearly equal
        return mean_band(image) if self.grey and image.ndim == 3 else image


def open_sar(path: Path, rule: ReadRule) -> RasterSource:
    """A SAR scene as a source; it is read once where its radiometry needs its values.

    Raises:
        DataError: It cannot be read, has several unequal bands, or does not fit its radiometry.
    """
    with Raster(path) as raster:
        info = raster.info
        bands = (rule.sar_band,) if rule.sar_band is not None else tuple(range(1, min(info.bands, 3) + 1))
        _check_bands(info, bands, sar=True)
        if len(bands) == 3:
            # rows from all over the scene
            rows = sorted({int(row) for row in np.linspace(0, info.height_px - 1, _LOOKS)})
            some = np.concatenate([raster.read((0, row, info.width_px, row + 1), bands) for row in rows])
            to_gray(some, path)
    nodata = info.nodata if rule.sar_nodata is None else rule.sar_nodata
    return _open(info, bands, True, nodata, info.dtype != "uint8", rule.sar_radiometry)


def open_optical(path: Path, rule: ReadRule) -> RasterSource:
    """An optical scene as a source; errors as for ``open_sar``."""
    with Raster(path) as raster:
        info = raster.info
    bands = rule.optical_bands or ((1, 2, 3) if info.bands >= 3 else (1, 1, 1))
    _check_bands(info, bands, sar=False)
    nodata = info.nodata if rule.optical_nodata is None else rule.optical_nodata
    return _open(info, bands, False, nodata, True, rule.optical_radiometry)


def _open(
    info: RasterInfo, bands: tuple[int, ...], grey: bool, nodata: float | None, zero_is_fill: bool, spelling: str
) -> RasterSource:
    if spelling == AUTO:
        how = Radiometry("none") if info.dtype == "uint8" else AUTO_DEEP
    else:
        how = Radiometry.parse(spelling)
    if how.kind == "none" and info.dtype != "uint8":
        raise DataError(
            info.path, found=f"an image of {info.dtype}", expected="8-bit values (uint8) for none",
            mend="choose a radiometry, for example percentile:0.5,99.5",
        )  # fmt: skip
    source = RasterSource(info, bands, grey, nodata, zero_is_fill, how)
    # what missing_pixels would find in the whole: zeros are measurements where there are negative values
    asks = zero_is_fill and nodata is None and info.dtype.startswith(("int", "float"))
    negative = False

    def parts() -> Iterator[npt.NDArray[Any]]:
        nonlocal negative
        for values in source.stripes():
            negative = negative or (asks and has_negatives(values))
            yield values

    limits = find_limits(how, parts, nodata)
    if how.kind in ("none", "linear"):  # which look at no value
        negative = asks and any(has_negatives(values) for values in source.stripes())
    return replace(source, zero_is_fill=zero_is_fill and not negative, limits=limits)


def _check_bands(info: RasterInfo, bands: tuple[int, ...], *, sar: bool) -> None:
    if not all(1 <= number <= info.bands for number in bands):
        raise DataError(
            info.path, found=f"{info.bands} bands", expected=f"bands {', '.join(map(str, bands))}",
            mend="correct the band numbers; they count from 1",
        )  # fmt: skip
    if sar and len(bands) == 2:
        raise DataError(
            info.path, found="2 bands", expected="one band, or three equal ones", mend="choose one with --sar-band"
        )


@dataclass(frozen=True)
class Hollow:
    """What remains of a source when its pixels are done with.

    Attributes:
        size_px: Width and height.
        radiometry: The mapping to 8 bits.
    """

    size_px: tuple[int, int]
    radiometry: Radiometry

    def read(self, box: Box) -> tuple[Bytes, Mask]:
        """There is nothing to read."""
        raise ValueError(f"a window {box} of a scene that was put away")
