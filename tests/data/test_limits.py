"""The limits of a scene by stripes are those of the whole image."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from osm.data import limits
from osm.data.limits import FixedRadiometry, gather
from osm.data.radiometry import Radiometry


def _images() -> dict[str, np.ndarray[Any, Any]]:
    drawing = np.random.default_rng(0)
    positive = drawing.exponential(300, (90, 70)).astype(np.float32)
    positive[:20, :20] = 0
    broken = positive.copy()
    broken[30, 5:9] = [np.nan, np.inf, -np.inf, 1e-40]
    return {
        "uint8": drawing.integers(0, 200, (90, 70), dtype=np.uint8),
        "uint16": (positive * 3).astype(np.uint16),
        "int16": drawing.integers(-300, 3000, (90, 70)).astype(np.int16),
        "decibels": (10 * np.log10(positive + 0.01)).astype(np.float32),
        "amplitude": positive,
        "broken": broken,
        "complex": (positive * np.exp(1j)).astype(np.complex64),
        "empty": np.zeros((90, 70), np.float32),
        "colour": drawing.integers(0, 4000, (90, 70, 3), dtype=np.uint16),
    }


@pytest.mark.parametrize(
    "kind", ["percentile:0.5,99.5", "percentile:2,80", "log:1,99", "minmax", "max", "linear:3,500"]
)
@pytest.mark.parametrize("name", _images())
@pytest.mark.parametrize("nodata", [None, 17.0])
def test_windows_become_what_the_whole_image_becomes(
    monkeypatch: pytest.MonkeyPatch, kind: str, name: str, nodata: float | None
) -> None:
    monkeypatch.setattr(limits, "_STRIPE_PX", 1000)
    image = _images()[name]
    how = Radiometry.parse(kind)
    whole = how.apply_colour(image, nodata=nodata)

    def read(box: tuple[int, int, int, int]) -> np.ndarray[Any, Any]:
        return image[box[1] : box[3], box[0] : box[2]]

    fixed = FixedRadiometry.of(how, gather(read, (70, 90), nodata, how))
    part = fixed.apply_colour(image[10:50, 5:60], nodata=nodata)
    # single against double precision: one grey level at most, seldom
    off = np.abs(part.astype(int) - whole[10:50, 5:60])
    assert off.max() <= 1
    assert (off > 0).mean() < 0.01
