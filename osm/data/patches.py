"""Patches of a scene pair: where they lie, and which are worth keeping."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from osm.errors import ConfigError

Bytes = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]

REASONS = ("border", "no-data", "constant SAR", "constant optical")
"""Why a patch is dropped: it would stick out of the scene; too many of its pixels are missing; all its pixels
have one value."""


@dataclass(frozen=True)
class CutRule:
    """How patches are cut.

    Args:
        size_px: Side of a patch.
        overlap: Part of a patch that it shares with the next one, in [0, 1).
        max_missing: Largest part of missing pixels that a patch may have, in [0, 1].
        keep_constant: Whether patches of one value are kept.

    Raises:
        ConfigError: A value out of range.
    """

    size_px: int = 256
    overlap: float = 0.0
    max_missing: float = 0.05
    keep_constant: bool = False

    def __post_init__(self) -> None:
        if self.size_px < 1:
            raise ConfigError("size", found=str(self.size_px), expected="at least 1 pixel", mend="set a positive size")
        if not 0 <= self.overlap < 1 or self.stride_px < 1:
            raise ConfigError(
                "overlap",
                found=str(self.overlap),
                expected="a fraction of the patch: 0 or more, below 1",
                mend="write 0.2 for 20 percent",
            )
        if not 0 <= self.max_missing <= 1:
            raise ConfigError(
                "max missing",
                found=str(self.max_missing),
                expected="a fraction between 0 and 1",
                mend="write 0.05 for 5 percent",
            )

    @property
    def stride_px(self) -> int:
        """Distance of neighbouring patches."""
        return self.size_px - round(self.overlap * self.size_px)


def missing_pixels(image: npt.NDArray[Any], nodata: float | None, *, zero_is_fill: bool) -> Mask:
    """Pixels without a measurement, ``(H, W)``.

    Args:
        image: ``(H, W)`` or ``(H, W, C)``, as stored.
        nodata: Value of missing pixels, if one is stated; then no other finite value is taken for missing.
        zero_is_fill: Whether exact zeros (in all bands) are missing, unless the image has negative values:
            products are filled up with zeros, while in decibels 0 is a measurement.
    """
    bands = image if image.ndim == 3 else image[:, :, None]
    missing = np.zeros(image.shape[:2], dtype=bool)
    if bands.dtype.kind in "fc":
        missing |= ~np.isfinite(bands).all(axis=2)
    if nodata is not None:
        missing |= (bands == nodata).all(axis=2)
    elif zero_is_fill and not has_negatives(bands):
        missing |= (bands == 0).all(axis=2)
    return missing


def has_negatives(values: npt.NDArray[Any]) -> bool:
    """Whether any finite value is below zero; complex ones, whose magnitude counts, are not."""
    return values.dtype.kind in "if" and bool((np.isfinite(values) & (values < 0)).any())


def sticking_out(width_px: int, height_px: int, rule: CutRule) -> int:
    """How many patches it would take more to cover an area, sticking out of it."""
    size_px, stride_px = rule.size_px, rule.stride_px
    inside = len(range(0, height_px - size_px + 1, stride_px)) * len(range(0, width_px - size_px + 1, stride_px))
    return _steps(height_px, size_px, stride_px) * _steps(width_px, size_px, stride_px) - inside


def _steps(length_px: int, size_px: int, stride_px: int) -> int:
    """How many patches it would take to cover a length, the last one sticking out."""
    return -(-max(length_px - size_px, 0) // stride_px) + 1
