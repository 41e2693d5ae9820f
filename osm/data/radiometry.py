"""Radiometry: how the values of a scene become the 8 bits that the networks see.

There is no standard for it (method.md), so it is a setting that is written down wherever it is used.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from osm.data.images import to_gray
from osm.data.percentiles import percentiles
from osm.errors import ConfigError, DataError

KINDS = ("none", "max", "minmax", "percentile", "log", "linear")
_SPELLINGS = "none, max, minmax, percentile:LOW,HIGH, log:LOW,HIGH or linear:LOW,HIGH"
_PERCENTS = (0.5, 99.5)


@dataclass(frozen=True)
class Radiometry:
    """A mapping of pixel values to 0..255, clipped at both ends and rounded.

    Kinds, with lo and hi the values that become 0 and 255:

    - ``none``: the values as they are; 8-bit images only.
    - ``max``: lo = 0, hi = the image's largest value.
    - ``minmax``: lo and hi are the image's smallest and largest value.
    - ``percentile``: lo and hi are the image's ``low``-th and ``high``-th percentile.
    - ``log``: the same of the logarithm of the values; values of zero and below become 0.
    - ``linear``: lo = ``low`` and hi = ``high``, the same for every image.

    Complex images are taken as their magnitude. NaN, infinities, the no-data value and, in images without
    negative values, exact zeros (the fill of SAR products) stay out of the statistics; all of them become 0,
    except zeros where the kind maps them elsewhere.

    Args:
        kind: One of ``KINDS``.
        low: Percent (``percentile``, ``log``) or value (``linear``); unused otherwise.
        high: The same for the upper end.

    Raises:
        ConfigError: An unknown kind, or limits that are out of range or out of order.
    """

    kind: str
    low: float = 0
    high: float = 0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise _misspelt(self.kind)
        limits = f"{self.low:g},{self.high:g}"
        if self.kind in ("percentile", "log") and not 0 <= self.low < self.high <= 100:
            raise ConfigError(
                f"radiometry {self.kind}:{limits}",
                found=f"limits {limits}",
                expected="percentages with 0 <= LOW < HIGH <= 100",
                mend=f"write for example {self.kind}:0.5,99.5",
            )
        if self.kind == "linear" and not (np.isfinite([self.low, self.high]).all() and self.low < self.high):
            raise ConfigError(
                f"radiometry linear:{limits}",
                found=f"limits {limits}",
                expected="two values with LOW < HIGH",
                mend="write for example linear:0,4000",
            )

    @classmethod
    def parse(cls, text: str) -> Radiometry:
        """Read a spelling such as ``percentile:0.5,99.5``; ``percentile`` and ``log`` alone mean these limits.

        Raises:
            ConfigError: No such spelling.
        """
        kind, colon, rest = text.strip().partition(":")
        if not colon and kind in ("percentile", "log"):
            return cls(kind, *_PERCENTS)
        if not colon:
            if kind == "linear":
                raise _misspelt(text)
            return cls(kind)
        try:
            low, high = (float(part) for part in rest.split(","))
        except ValueError as error:
            raise _misspelt(text) from error
        if kind not in ("percentile", "log", "linear"):
            raise _misspelt(text)
        return cls(kind, low, high)

    def __str__(self) -> str:
        if self.kind in ("percentile", "log", "linear"):
            return f"{self.kind}:{_shown(self.low)},{_shown(self.high)}"
        return self.kind

    def apply(self, image: npt.NDArray[Any], *, nodata: float | None = None) -> npt.NDArray[np.uint8]:
        """Map one image to 8 bits.

        Args:
            image: ``(H, W)``, or ``(H, W, 3 | 4)`` with (nearly) equal bands, of any type.
            nodata: The value that marks missing pixels, if the file states one.

        Returns:
            ``(H, W)`` uint8.

        Raises:
            DataError: ``none`` on an image that is not 8-bit, or a colour image.
        """
        return self._map(to_gray(image), nodata)

    def apply_colour(self, image: npt.NDArray[Any], *, nodata: float | None = None) -> npt.NDArray[np.uint8]:
        """Map an image of several bands ``(H, W, C)`` by one common mapping, so that its colours stay."""
        return self._map(image, nodata)

    def _map(self, image: npt.NDArray[Any], nodata: float | None) -> npt.NDArray[np.uint8]:
        if self.kind == "none":
            if image.dtype != np.uint8:
                raise DataError(
                    "radiometry none",
                    found=f"an image of {image.dtype}",
                    expected="8-bit values (uint8)",
                    mend="choose a radiometry, for example percentile:0.5,99.5",
                )
            return image
        low, high = self._limits(_real(image), nodata)
        return self.apply_between(image, low, high, nodata=nodata)

    def apply_between(
        self, image: npt.NDArray[Any], low: float, high: float, *, nodata: float | None = None
    ) -> npt.NDArray[np.uint8]:
        """Map one image, or a window of one, by limits that are known already.

        Args:
            image: Of any shape and type.
            low: The value that becomes 0, its logarithm for ``log``; unused by ``none``.
            high: The value that becomes 255, likewise.
            nodata: The value that marks missing pixels, if the file states one.

        Returns:
            uint8 of the same shape.

        Raises:
            DataError: ``none`` on an image that is not 8-bit.
        """
        if self.kind == "none":
            return self._map(image, nodata)
        if image.dtype in (np.uint8, np.uint16):
            # few possible values: look the mapping up instead of computing it for each pixel
            table = self._scale(np.arange(np.iinfo(image.dtype).max + 1, dtype=np.float64), low, high)
            if nodata is not None and 0 <= nodata < len(table) and nodata == int(nodata):
                table[int(nodata)] = 0
            return np.asarray(table[image])
        values = _real(image)
        missing = ~np.isfinite(values)
        if nodata is not None:
            missing |= values == nodata
        mapped = self._scale(np.where(missing, 0, values), low, high)
        mapped[missing] = 0
        return mapped

    def _limits(self, values: npt.NDArray[Any], nodata: float | None) -> tuple[float, float]:
        """The values that become 0 and 255 (logarithms for ``log``)."""
        if self.kind == "linear":
            return self.low, self.high
        valid = values[np.isfinite(values)] if values.dtype.kind == "f" else values.ravel()
        if nodata is not None:
            valid = valid[valid != nodata]
        if (valid.size and valid.min() >= 0) or self.kind == "log":
            valid = valid[valid > 0]
        if not valid.size:
            return 0.0, 1.0
        if self.kind == "max":
            return 0.0, float(valid.max())
        if self.kind == "minmax":
            return float(valid.min()), float(valid.max())
        # logarithms keep the order: the percentile is taken of the values, between neighbours in value
        low, high = percentiles(valid, (self.low, self.high))
        return (float(np.log(low)), float(np.log(high))) if self.kind == "log" else (low, high)

    def _scale(self, values: npt.NDArray[Any], low: float, high: float) -> npt.NDArray[np.uint8]:
        if self.kind == "log":
            positive = values > 0
            values = np.log(values, out=np.full_like(values, -np.inf), where=positive)
        unit = (values - low) / (high - low) if high > low else (values > high).astype(np.float32)
        return np.asarray(np.rint(np.clip(unit, 0, 1) * 255).astype(np.uint8))


def _real(image: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Values that can be ordered: magnitudes of complex ones, and float64 of what is neither short nor a float."""
    values = np.abs(image) if np.iscomplexobj(image) else image
    return values if values.dtype in (np.uint8, np.uint16, np.float32, np.float64) else values.astype(np.float64)


def _shown(value: float) -> str:
    """The shortest text that reads back as the same value."""
    return repr(float(value)).removesuffix(".0")


def _misspelt(text: str) -> ConfigError:
    return ConfigError(
        f"radiometry {text!r}", found="no known spelling", expected=_SPELLINGS, mend="correct the setting"
    )
