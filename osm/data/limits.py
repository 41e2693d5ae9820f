"""The values of a scene that become 0 and 255, found in bounded memory and to the last bit.

``osm.data.radiometry`` takes percentiles of a whole image. Here the same percentiles are selected by radix: the bits of
a value are turned so that their order as integers is that of the values; one pass counts the upper 16 bits, and each
further pass the next 16 bits of the few values that are looked for. 8- and 16-bit scenes take one pass, float32 two.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from osm.data.percentiles import Rank
from osm.data.radiometry import Radiometry

_DIGIT = 16
_BINS = 1 << _DIGIT

#: Called for each pass; yields the scene in parts, each pixel once.
Parts = Callable[[], Iterable[npt.NDArray[Any]]]


def find_limits(how: Radiometry, parts: Parts, nodata: float | None = None) -> tuple[float, float]:
    """What ``Radiometry.apply`` finds on the whole image: the limits for ``Radiometry.apply_between``.

    Args:
        how: The radiometry.
        parts: The scene; read once for 8- and 16-bit types, twice for 32-bit and four times for 64-bit ones.
        nodata: Value of missing pixels.

    Returns:
        The values that become 0 and 255, their logarithms for ``log``; 0 and 1 where there is no valid pixel.
    """
    if how.kind == "linear":
        return how.low, how.high
    if how.kind == "none":
        return 0.0, 255.0
    counts = np.zeros(_BINS, dtype=np.int64)
    zeros, kind = 0, np.dtype(np.uint8)
    for part in parts():
        keys, kind = _keys(part, nodata)
        counts += np.bincount(_digit(keys, 0), minlength=_BINS)
        zeros += int(np.count_nonzero(keys == _zero(kind)))
    negatives = int(counts[: _BINS // 2].sum()) if kind.kind in "if" else 0
    # as Radiometry: exact zeros are the fill of images without negative values
    skipped = negatives + zeros if how.kind == "log" or not negatives else 0
    total = int(counts.sum())
    valid = total - skipped
    if not valid:
        return 0.0, 1.0
    if how.kind in ("max", "minmax"):
        least, most = _select([skipped, total - 1], counts, parts, nodata, kind)
        return (0.0 if how.kind == "max" else least), most
    ranks = [Rank.of(percent, valid) for percent in (how.low, how.high)]
    ends = [skipped + end for rank in ranks for end in (rank.below, rank.above)]
    values = _select(ends, counts, parts, nodata, kind)
    low, high = (rank.between(*values[2 * i : 2 * i + 2]) for i, rank in enumerate(ranks))
    return (float(np.log(low)), float(np.log(high))) if how.kind == "log" else (low, high)


def _select(
    ranks: list[int], counts: npt.NDArray[np.int64], parts: Parts, nodata: float | None, kind: np.dtype[Any]
) -> list[float]:
    """The values of these ranks among all that are present."""
    prefixes, left = [], []
    ends = np.cumsum(counts)
    for rank in ranks:
        digit = int(np.searchsorted(ends, rank, side="right"))
        prefixes.append(digit)
        left.append(rank - int(ends[digit] - counts[digit]))
    for level in range(1, _bits(kind) // _DIGIT):
        wanted = {prefix: np.zeros(_BINS, dtype=np.int64) for prefix in prefixes}
        for part in parts():
            keys, _ = _keys(part, nodata)
            above = keys >> np.asarray(_bits(kind) - level * _DIGIT, dtype=keys.dtype)
            for prefix, found in wanted.items():
                found += np.bincount(_digit(keys[above == prefix], level), minlength=_BINS)
        for i, prefix in enumerate(prefixes):
            ends = np.cumsum(wanted[prefix])
            digit = int(np.searchsorted(ends, left[i], side="right"))
            left[i] -= int(ends[digit] - wanted[prefix][digit])
            prefixes[i] = (prefix << _DIGIT) | digit
    return [_value(key, kind) for key in prefixes]


def _bits(kind: np.dtype[Any]) -> int:
    return max(_DIGIT, 8 * kind.itemsize)


def _unsigned(kind: np.dtype[Any]) -> np.dtype[Any]:
    return np.dtype(f"u{_bits(kind) // 8}")


def _zero(kind: np.dtype[Any]) -> int:
    """The key of the value zero."""
    return 1 << (_bits(kind) - 1) if kind.kind in "if" else 0


def _keys(part: npt.NDArray[Any], nodata: float | None) -> tuple[npt.NDArray[Any], np.dtype[Any]]:
    """Unsigned integers in the order of the valid values, and the type of the values."""
    values = (np.abs(part) if np.iscomplexobj(part) else part).ravel()
    kind = values.dtype
    if kind.kind == "f":
        if kind.itemsize < 4:
            values = values.astype(np.float32)
            kind = values.dtype
        values = values[np.isfinite(values)]
    if nodata is not None:
        values = values[values != nodata]
    unsigned = _unsigned(kind)
    if kind.kind == "f":
        # minus zero becomes plus zero; then negative values have all bits turned, the others the first alone
        bits = (values + kind.type(0)).view(unsigned)
        top = np.asarray(_zero(kind), dtype=unsigned)
        return np.where(bits & top, ~bits, bits | top), kind
    if kind.kind == "i":
        wide = values.astype(f"i{unsigned.itemsize}").view(unsigned)
        return wide ^ np.asarray(_zero(kind), dtype=unsigned), kind
    return values.astype(unsigned), kind


def _value(key: int, kind: np.dtype[Any]) -> float:
    unsigned = _unsigned(kind)
    if kind.kind == "f":
        bits = key ^ _zero(kind) if key & _zero(kind) else ~key & ((1 << _bits(kind)) - 1)
        return float(np.asarray(bits, dtype=unsigned).view(kind))
    return float(key - _zero(kind))


def _digit(keys: npt.NDArray[Any], level: int) -> npt.NDArray[np.int64]:
    """The ``level``-th 16 bits from above."""
    shift = 8 * keys.dtype.itemsize - (level + 1) * _DIGIT
    digits = (keys >> np.asarray(shift, dtype=keys.dtype)) & np.asarray(_BINS - 1, dtype=keys.dtype)
    return np.asarray(digits, dtype=np.int64)
