"""One radiometry for all windows of a scene, its limits taken once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from osm.data.radiometry import Radiometry
from osm.errors import ConfigError


@dataclass(frozen=True)
class Mapping8:
    """What makes 8 bits of any window of one scene, the same way everywhere.

    Attributes:
        radiometry: Its spelling.
        fixed: What is applied to the values: ``none`` or ``linear``.
        logarithm: Whether the logarithm is taken first.
        nodata: Value of missing pixels.
    """

    radiometry: str
    fixed: Radiometry
    logarithm: bool
    nodata: float | None

    @classmethod
    def of(cls, radiometry: Radiometry, sample: npt.NDArray[Any], nodata: float | None) -> Mapping8:
        """Take the limits from pixels that stand for the scene, by the rules of ``Radiometry``."""
        spelling = str(radiometry)
        if radiometry.kind in ("none", "linear"):
            return cls(spelling, radiometry, False, nodata)
        values = np.abs(sample) if np.iscomplexobj(sample) else sample
        values = values[np.isfinite(values)] if values.dtype.kind == "f" else values.ravel()
        if nodata is not None:
            values = values[values != nodata]
        logarithm = radiometry.kind == "log"
        if logarithm or (values.size and values.min() >= 0):
            values = values[values > 0]
        low, high = 0.0, 1.0
        if values.size and radiometry.kind == "max":
            high = float(values.max())
        elif values.size and radiometry.kind == "minmax":
            low, high = float(values.min()), float(values.max())
        elif values.size:
            low, high = (float(limit) for limit in np.percentile(values, (radiometry.low, radiometry.high)))
            if logarithm:
                low, high = float(np.log(low)), float(np.log(high))
        if not high > low:
            # a scene of one value: what is above it is white, as ``Radiometry`` has it
            high = float(np.nextafter(np.float32(low), np.float32(np.inf)))
        return cls(spelling, Radiometry("linear", low, high), logarithm, nodata)

    def apply(self, window: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
        """``(H, W)`` or ``(H, W, C)`` of any type to uint8 of that shape."""
        if not self.logarithm:
            return self.fixed.apply_colour(window, nodata=self.nodata)
        values = np.abs(window).astype(np.float32)
        if self.nodata is not None:
            values[window == self.nodata] = 0
        logs = np.log(values, out=np.full_like(values, np.nan), where=values > 0)
        return self.fixed.apply_colour(logs)


def read_radiometry(spelling: str, dtype: str) -> tuple[Radiometry, str]:
    """The radiometry that a record names, or the usual one for a type of pixels, and what to say about it.

    A record may say more behind the spelling, as the limits that were found in the scene.
    """
    words = spelling.split()
    if words:
        try:
            named = Radiometry.parse(words[0].rstrip(",;"))
        except ConfigError:
            named = None
        if named is not None and (named.kind != "none" or dtype == "uint8"):
            return named, ""
    usual = Radiometry("none") if dtype == "uint8" else Radiometry.parse("percentile")
    if not words:
        return usual, f"The record names no radiometry: shown by {usual}."
    return usual, f"Radiometry {spelling!r} is not for this image of {dtype}: shown by {usual}."
