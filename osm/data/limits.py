"""Limits of a radiometry for scenes that do not fit into memory: the same as from the whole image."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from osm.data.radiometry import Radiometry

Read = Callable[[tuple[int, int, int, int]], npt.NDArray[Any]]

_STRIPE_PX = 4 * 2**20
_BINS = 2**16


@dataclass(frozen=True)
class FixedRadiometry(Radiometry):
    """A radiometry whose limits are known.

    Attributes:
        lower: Value (or its logarithm) that becomes 0.
        upper: Value that becomes 255.
    """

    lower: float = 0.0
    upper: float = 1.0

    @classmethod
    def of(cls, how: Radiometry, seen: Statistics) -> FixedRadiometry:
        """The limits that ``how`` takes from the values of a scene."""
        lower, upper = seen.low, seen.high
        if how.kind == "max":
            lower = 0.0
        elif how.kind == "log" and seen.count:
            lower, upper = float(np.log(lower)), float(np.log(upper))
        if not seen.count:
            lower, upper = 0.0, 1.0
        if how.kind == "linear":
            lower, upper = how.low, how.high
        return cls(how.kind, how.low, how.high, lower, upper)

    def _limits(self, values: npt.NDArray[Any], nodata: float | None) -> tuple[float, float]:
        return self.lower, self.upper


@dataclass(frozen=True)
class Statistics:
    """What a pass over a scene has seen.

    Attributes:
        least: Smallest finite value that is not no-data, zeros among them.
        count: Values that count: zeros do not where none is negative.
        low: The lower percentile of these, or their minimum.
        high: The upper percentile, or their maximum.
    """

    least: float
    count: int
    low: float
    high: float


def gather(read: Read, size_px: tuple[int, int], nodata: float | None, how: Radiometry) -> Statistics:
    """Minimum, maximum and percentiles of a scene, stripe by stripe.

    The percentiles are exact in single precision: a histogram of the upper halves of the sortable bits, then one of the
    lower halves within each upper half that a percentile falls into. A scene of 8 or 16 bits takes one pass.

    Args:
        read: Reads a window.
        size_px: Width and height of the scene.
        nodata: Value that is left out.
        how: Whose percentiles.
    """
    coarse = np.zeros(_BINS, dtype=np.int64)
    least, small = np.inf, False
    zeros = 0
    for values in _stripes(read, size_px, nodata):
        small = values.dtype in (np.uint8, np.uint16)
        if not values.size:
            continue
        least = min(least, float(values.min()))
        zeros += int(np.count_nonzero(values == 0))
        coarse += np.bincount(values if small else _bits(values) >> 16, minlength=_BINS)
    # as Radiometry: zeros are fill unless there are negative values; a logarithm has no use for either
    floor = 0.0 if (least >= 0 or how.kind == "log") else None
    if floor is not None:
        if small:
            coarse[0] = 0
        else:
            # all positive values lie above the bits of zero; those of zero itself share a bin with tiny ones
            coarse[: int(_bits(np.zeros(1, np.float32))[0] >> 16)] = 0
            coarse[int(_bits(np.zeros(1, np.float32))[0] >> 16)] -= zeros
    count = int(coarse.sum())
    if not count:
        return Statistics(least if np.isfinite(least) else 0.0, 0, 0.0, 1.0)
    ranks: list[float] = [0.0, float(count - 1)]
    if how.kind in ("percentile", "log"):
        ranks = [percent / 100 * (count - 1) for percent in (how.low, how.high)]
    wanted = sorted({int(step(rank)) for rank in ranks for step in (np.floor, np.ceil)})
    ends = np.cumsum(coarse)
    at = {rank: int(np.searchsorted(ends, rank, side="right")) for rank in wanted}
    found: dict[int, float] = {}
    if small:
        found = {rank: float(bin_) for rank, bin_ in at.items()}
    else:
        fine = _fine(read, size_px, nodata, sorted(set(at.values())), floor)
        for rank, upper in at.items():
            before = int(ends[upper] - coarse[upper])
            lower = int(np.searchsorted(np.cumsum(fine[upper]), rank - before, side="right"))
            found[rank] = float(_values(np.array([(upper << 16) | lower], dtype=np.uint32))[0])
    low, high = (
        found[int(np.floor(rank))] + (rank - np.floor(rank)) * (found[int(np.ceil(rank))] - found[int(np.floor(rank))])
        for rank in ranks
    )
    return Statistics(least, count, float(low), float(high))


def _fine(
    read: Read, size_px: tuple[int, int], nodata: float | None, uppers: list[int], floor: float | None
) -> dict[int, npt.NDArray[np.int64]]:
    fine: dict[int, npt.NDArray[np.int64]] = {upper: np.zeros(_BINS, dtype=np.int64) for upper in uppers}
    for values in _stripes(read, size_px, nodata):
        bits = _bits(values if floor is None else values[values > floor])
        for upper, histogram in fine.items():
            histogram += np.bincount(bits[bits >> 16 == upper] & 0xFFFF, minlength=_BINS)
    return fine


def _stripes(read: Read, size_px: tuple[int, int], nodata: float | None) -> Iterator[npt.NDArray[Any]]:
    """Values that are measurements, whatever their place; single precision but for 8 and 16 bits."""
    width, height = size_px
    rows = max(1, min(height, _STRIPE_PX // width))
    for top in range(0, height, rows):
        values = read((0, top, width, min(top + rows, height)))
        if np.iscomplexobj(values):
            values = np.abs(values)
        if values.dtype not in (np.uint8, np.uint16):
            values = values.astype(np.float32, copy=False)
            values = values[np.isfinite(values)]
        values = values.ravel()
        yield values if nodata is None else values[values != nodata]


def _bits(values: npt.NDArray[np.float32]) -> npt.NDArray[np.uint32]:
    """Bits of floats, turned so that they sort as the floats do."""
    bits = np.ascontiguousarray(values + np.float32(0)).view(np.uint32)  # + 0 makes one zero of two
    return np.where(bits >> 31, ~bits, bits | np.uint32(1 << 31))


def _values(bits: npt.NDArray[np.uint32]) -> npt.NDArray[np.float32]:
    return np.where(bits >> 31, bits ^ np.uint32(1 << 31), ~bits).view(np.float32)
