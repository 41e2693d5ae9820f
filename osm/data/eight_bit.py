"""Scenes as delivered, turned into the 8-bit arrays that patches are cut from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from osm.data.geotiff import read_geotags
from osm.data.images import read_image, to_gray
from osm.data.patches import missing_pixels
from osm.data.radiometry import Radiometry
from osm.errors import DataError

AUTO = "auto"
AUTO_DEEP = Radiometry("percentile", 0.5, 99.5)


@dataclass(frozen=True)
class ReadRule:
    """How the scenes of a pair become 8 bits.

    Args:
        sar_radiometry: Spelling of a ``Radiometry``, or ``auto``: 8-bit scenes stay as they are, all others get
            ``percentile:0.5,99.5``, computed for each scene.
        optical_radiometry: The same; one mapping for all three bands, so that colours stay.
        sar_nodata: Value of missing SAR pixels. None: that of the file's tag, or else zero where the scene is
            not 8-bit and has no negative value.
        optical_nodata: Value of missing optical pixels. None: that of the tag, or else zero in all bands.
        sar_band: Band of the SAR scene, from 1. None: it has one band, or equal ones.
        optical_bands: Bands for red, green and blue, from 1. None: the first three, or the only one.

    Raises:
        ConfigError: A radiometry that cannot be read.
    """

    sar_radiometry: str = AUTO
    optical_radiometry: str = AUTO
    sar_nodata: float | None = None
    optical_nodata: float | None = None
    sar_band: int | None = None
    optical_bands: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        for spelling in (self.sar_radiometry, self.optical_radiometry):
            if spelling != AUTO:
                Radiometry.parse(spelling)


@dataclass(frozen=True, eq=False)
class EightBit:
    """One image in 8 bits.

    Args:
        pixels: uint8, ``(H, W)`` of SAR or ``(H, W, 3)`` of optical.
        missing: ``(H, W)`` bool, pixels without a measurement.
        radiometry: The mapping that was used.
    """

    pixels: npt.NDArray[np.uint8]
    missing: npt.NDArray[np.bool_]
    radiometry: Radiometry


def read_sar(path: Path, rule: ReadRule) -> EightBit:
    """Read a SAR scene.

    Raises:
        DataError: It cannot be read, has several unequal bands, or does not fit its radiometry.
    """
    image = read_image(path)
    image = to_gray(image, path) if rule.sar_band is None else _bands(image, (rule.sar_band,), path)[:, :, 0]
    nodata = read_geotags(path).nodata if rule.sar_nodata is None else rule.sar_nodata
    # dark water in 8 bits is zero by right; in any other type zero is the fill of the product
    missing = missing_pixels(image, nodata, zero_is_fill=image.dtype != np.uint8)
    return _map(image, missing, nodata, rule.sar_radiometry, path)


def read_optical(path: Path, rule: ReadRule) -> EightBit:
    """Read an optical scene; a panchromatic one is repeated to three bands.

    Raises:
        DataError: It cannot be read, lacks a band, or does not fit its radiometry.
    """
    image = read_image(path)
    depth = 1 if image.ndim == 2 else image.shape[2]
    image = _bands(image, rule.optical_bands or ((1, 2, 3) if depth >= 3 else (1, 1, 1)), path)
    nodata = read_geotags(path).nodata if rule.optical_nodata is None else rule.optical_nodata
    missing = missing_pixels(image, nodata, zero_is_fill=True)
    return _map(image, missing, nodata, rule.optical_radiometry, path)


def _map(
    image: npt.NDArray[Any], missing: npt.NDArray[np.bool_], nodata: float | None, spelling: str, path: Path
) -> EightBit:
    if spelling == AUTO:
        how = Radiometry("none") if image.dtype == np.uint8 else AUTO_DEEP
    else:
        how = Radiometry.parse(spelling)
    try:
        pixels = how.apply_colour(image, nodata=nodata)
    except DataError as error:
        # the same problem, but named after the scene instead of after the setting
        raise DataError(path, found=error.found, expected=f"{error.expected} for {how}", mend=error.mend) from error
    return EightBit(pixels, missing, how)


def _bands(image: npt.NDArray[Any], numbers: tuple[int, ...], path: Path) -> npt.NDArray[Any]:
    bands = image if image.ndim == 3 else image[:, :, None]
    if not all(1 <= number <= bands.shape[2] for number in numbers):
        raise DataError(
            path,
            found=f"{bands.shape[2]} bands",
            expected=f"bands {', '.join(map(str, numbers))}",
            mend="correct the band numbers; they count from 1",
        )
    if numbers == tuple(range(1, bands.shape[2] + 1)):
        return bands
    return np.ascontiguousarray(bands[:, :, [number - 1 for number in numbers]])
