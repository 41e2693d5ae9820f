from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from osm.data.footprints import Footprint, footprint_of, overlaps, shared_area

SQUARE = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], dtype=float)


@given(x=st.floats(-2, 2), y=st.floats(-2, 2), size=st.floats(0.1, 3), back=st.booleans())
def test_squares_share_what_they_should(x: float, y: float, size: float, back: bool) -> None:
    other = SQUARE * size + (x, y)
    width = max(0.0, min(1, x + size) - max(0, x))
    height = max(0.0, min(1, y + size) - max(0, y))
    assert shared_area(SQUARE, other[::-1] if back else other) == pytest.approx(width * height, abs=1e-9)


def test_a_turned_square_shares_an_octagon() -> None:
    turn = np.array([[1, 1], [-1, 1]]) / np.sqrt(2)
    middle = SQUARE - 0.5
    assert shared_area(middle, middle @ turn) == pytest.approx(2 * (np.sqrt(2) - 1))


def test_geotiffs_that_overlap_are_found(tmp_path: Path, write_geotiff: Callable[..., Path]) -> None:
    image = np.zeros((50, 100), dtype=np.uint8)  # 1000 m by 500 m
    places = {"a": (500_000, 0), "half": (500_500, 0), "beside": (501_000, 0), "far": (900_000, 0)}
    prints = {}
    for name, (x_m, y_m) in places.items():
        path = write_geotiff(tmp_path / f"{name}.tif", image, x_m=x_m, y_m=y_m)
        prints[name] = footprint_of(name, path)
    train = [entry for name, entry in prints.items() if name != "a" and entry is not None]
    assert prints["a"] is not None
    assert prints["a"].epsg == 32610
    found, apart = overlaps([prints["a"]], train)
    assert [(test, other) for test, other, _ in found] == [("a", "half")]
    assert found[0][2] == pytest.approx(0.5)
    assert apart == 0


def test_an_image_without_position_has_no_footprint(tmp_path: Path) -> None:
    import tifffile

    tifffile.imwrite(tmp_path / "plain.tif", np.zeros((5, 5), dtype=np.uint8))
    assert footprint_of("plain", tmp_path / "plain.tif") is None


def test_what_cannot_be_compared_is_counted() -> None:
    known, other, unnamed = (Footprint("x", SQUARE, epsg) for epsg in (32610, 32611, None))
    try:
        import pyproj  # noqa: F401
    except ImportError:
        assert overlaps([known], [other, other, unnamed]) == ([], 3)
    assert overlaps([known], [unnamed]) == ([], 1)
    found, apart = overlaps([unnamed], [unnamed])
    assert len(found) == 1
    assert apart == 0
