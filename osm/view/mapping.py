"""One radiometry for all windows of a scene, its limits taken once."""

from __future__ import annotations

import re
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
    def of(
        cls,
        radiometry: Radiometry,
        sample: npt.NDArray[Any],
        nodata: float | None,
        limits: tuple[float, float] | None = None,
    ) -> Mapping8:
        """Fix a radiometry for one scene.

        Args:
            radiometry: It.
            sample: Pixels that stand for the scene.
            nodata: Value of missing pixels.
            limits: The values that become 0 and 255, if they are known; else they are taken from the sample, by the
                rules of ``Radiometry``.
        """
        if radiometry.kind in ("none", "linear"):
            return cls(str(radiometry), radiometry, False, nodata)
        low, high = _limits(radiometry, sample, nodata) if limits is None else limits
        logarithm = radiometry.kind == "log"
        if logarithm:
            low, high = (float(np.log(limit)) if limit > 0 else 0.0 for limit in (low, high))
        if not high > low:
            # a scene of one value: what is above it is white, as ``Radiometry`` has it
            high = float(np.nextafter(np.float32(low), np.float32(np.inf)))
        return cls(str(radiometry), Radiometry("linear", low, high), logarithm, nodata)

    def apply(self, window: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
        """``(H, W)`` or ``(H, W, C)`` of any type to uint8 of that shape."""
        if not self.logarithm:
            return self.fixed.apply_colour(window, nodata=self.nodata)
        values = np.abs(window).astype(np.float32)
        if self.nodata is not None:
            values[window == self.nodata] = 0
        logs = np.log(values, out=np.full_like(values, np.nan), where=values > 0)
        return self.fixed.apply_colour(logs)


@dataclass(frozen=True)
class Asked:
    """What a record says of the radiometry, as far as it is of use for an image.

    Attributes:
        radiometry: That of the record, or the usual one for the type of pixels.
        limits: The values that became 0 and 255, if the record says.
        note: What to say about it, possibly empty.
    """

    radiometry: Radiometry
    limits: tuple[float, float] | None = None
    note: str = ""


def read_radiometry(spelling: str, dtype: str) -> Asked:
    """Understand the radiometry of a record: a spelling, possibly with limits as ``osm detect`` writes them."""
    first, _, rest = spelling.strip().partition(" ")
    if first:
        try:
            named = Radiometry.parse(first)
        except ConfigError:
            named = None
        if named is not None and (named.kind != "none" or dtype == "uint8"):
            return Asked(named, _stated_limits(rest))
    usual = Radiometry("none") if dtype == "uint8" else Radiometry.parse("percentile")
    if not first:
        return Asked(usual, note=f"The record names no radiometry: shown by {usual}.")
    return Asked(usual, note=f"Radiometry {spelling!r} is not for this image of {dtype}: shown by {usual}.")


def _stated_limits(text: str) -> tuple[float, float] | None:
    found = re.fullmatch(r"\(0 at (\S{1,30}), 255 at (\S{1,30})\)", text.strip())
    if not found:
        return None
    try:
        low, high = (float(part) for part in found.groups())
    except ValueError:
        return None
    return (low, high) if np.isfinite([low, high]).all() and low < high else None


def _limits(radiometry: Radiometry, sample: npt.NDArray[Any], nodata: float | None) -> tuple[float, float]:
    """The values that become 0 and 255."""
    values = np.abs(sample) if np.iscomplexobj(sample) else sample
    values = values[np.isfinite(values)] if values.dtype.kind == "f" else values.ravel()
    if nodata is not None:
        values = values[values != nodata]
    if radiometry.kind == "log" or (values.size and values.min() >= 0):
        values = values[values > 0]
    if not values.size:
        return 0.0, 1.0
    if radiometry.kind == "max":
        return 0.0, float(values.max())
    if radiometry.kind == "minmax":
        return float(values.min()), float(values.max())
    low, high = (float(limit) for limit in np.percentile(values, (radiometry.low, radiometry.high)))
    return low, high
