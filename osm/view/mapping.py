"""One radiometry for all windows of a scene, its limits taken once."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from osm.data.limits import find_limits
from osm.data.radiometry import Radiometry
from osm.errors import ConfigError


@dataclass(frozen=True)
class Mapping8:
    """What makes 8 bits of any window of one scene, the same way everywhere.

    Attributes:
        radiometry: What is applied.
        limits: The values that become 0 and 255, their logarithms for ``log``.
        nodata: Value of missing pixels.
    """

    radiometry: Radiometry
    limits: tuple[float, float]
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
        if limits is None or radiometry.kind == "linear":  # which states its own, and not rounded as a record does
            limits = find_limits(radiometry, lambda: [sample], nodata)
        elif radiometry.kind == "log":
            low, high = (float(np.log(limit)) if limit > 0 else 0.0 for limit in limits)
            limits = low, high
        return cls(radiometry, limits, nodata)

    def apply(self, window: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
        """``(H, W)`` or ``(H, W, C)`` of any type to uint8 of that shape."""
        return self.radiometry.apply_between(window, *self.limits, nodata=self.nodata)


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
