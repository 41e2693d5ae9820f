from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from osm.data.mbrect import parse_mbrect
from osm.errors import DataError


@pytest.mark.parametrize(
    "line",
    [
        "10 5 20 8 18 14 8 11",
        "10,5,20,8,18,14,8,11",
        "ship 10.0 5.0 20.0 8.0 18.0 14.0 8.0 11.0",
        "10 5 20 8 18 14 8 11 ship 0",
        "(10, 5), (20, 8), (18, 14), (8, 11)",
        "[[10 5] [20 8] [18 14] [8 11]]; ship",
    ],
)
def test_a_quadrangle_becomes_the_box_around_it(tmp_path: Path, line: str) -> None:
    path = tmp_path / "a.mbrect"
    path.write_text(f"objects\n{line}\n\n-1 0 3 0 3 4 -1 4\n")
    label = parse_mbrect(path)
    np.testing.assert_array_equal(label.boxes, [[8, 5, 20, 14], [-1, 0, 3, 4]])
    assert label.clip
    assert not label.ignore.any()


@pytest.mark.parametrize("line", ["10 5 20 8 18 14 8", "0 10 5 20 8 18 14 8 11", "10 5 20 8 ship 18 14 8 11"])
def test_a_line_of_any_other_count_is_refused_instead_of_guessed_at(tmp_path: Path, line: str) -> None:
    path = tmp_path / "a.mbrect"
    path.write_text(f"10 5 20 8 18 14 8 11\n{line}\n")
    with pytest.raises(DataError, match=r"a\.mbrect: found line 2 with"):
        parse_mbrect(path)


@pytest.mark.parametrize("text", ["", "nothing here\n"])
def test_no_quadrangle_is_an_error(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.mbrect"
    path.write_text(text)
    with pytest.raises(DataError, match="without boxes"):
        parse_mbrect(path)


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.mbrect"):
        parse_mbrect(tmp_path / "none.mbrect")
