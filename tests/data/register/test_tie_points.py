from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from osm.data.register.tie_points import TiePoints, read_tie_points, spread_ratio, write_tie_points
from osm.errors import DataError

HEADER = "sar_col,sar_row,opt_col,opt_row\n"
SAR, OPTICAL = (100, 80), (300, 200)


def _read(path: Path, text: str | bytes) -> TiePoints:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_tie_points(path, SAR, OPTICAL)


def test_points_come_back_as_they_were_written(tmp_path: Path) -> None:
    points = TiePoints(np.array([[1.25, 2], [99, 80]]), np.array([[30, 4.5], [300, 0]]), ("", "0-1"))
    write_tie_points(tmp_path / "a.csv", points)
    found = read_tie_points(tmp_path / "a.csv", SAR, OPTICAL)
    np.testing.assert_array_equal(found.sar, points.sar)
    np.testing.assert_array_equal(found.optical, points.optical)
    assert found.regions == points.regions


def test_what_spreadsheets_write_is_read(tmp_path: Path) -> None:
    text = "\ufeffnote;sar_col;sar_row;opt_col;opt_row\r\nquay; 1;2.5;3;4\r\n;;;;\r\n"
    np.testing.assert_array_equal(_read(tmp_path / "a.csv", text).sar, [[1, 2.5]])


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("sar_col,sar_row,opt_col\n1,2,3\n", "no column opt_row"),
        ("", "no column sar_col"),
        (HEADER + "1,2,3,x\n", "line 2: found opt_row 'x'"),
        (HEADER + "1,2,3,4\n1,nan,3,4\n", "line 3: found sar_row 'nan'"),
        (HEADER + "1,inf,3,4\n", "sar_row 'inf'"),
        (HEADER + '1,2,3,"4', "no CSV"),
        (HEADER + "1,2,3\n", "3 cells"),
        (HEADER + "101,2,3,4\n", "SAR point 101,2 outside its scene"),
        (HEADER + "1,2,3,-1\n", "optical point 3,-1 outside its scene"),
        (HEADER + "1,2,3,4\n1,2,30,40\n", "SAR point 1,2 a second time, as in line 2"),
        (HEADER + "1,2,3,4\n5,2,3,4\n", "optical point 3,4 a second time, as in line 2"),
        (b"\xff\xfe\x00", "no text"),
        (HEADER.encode() + b"1,2,3,4\0\n", "binary data"),
        (HEADER.replace("opt_row", "opt_row,opt_row") + "1,2,3,4,5\n", "two columns opt_row"),
        (HEADER + '=cmd|" /C calc"!A0,2,3,4\n', "line 2"),
        (HEADER + f"{'9' * 5000},2,3,4\n", "line 2"),
        (HEADER + f"{'9' * 200_000},2,3,4\n", "no CSV"),
    ],
)
def test_a_bad_table_is_named_with_its_line(tmp_path: Path, text: str | bytes, found: str) -> None:
    with pytest.raises(DataError) as caught:
        _read(tmp_path / "a.csv", text)
    assert found in caught.value.line
    assert "\n" not in caught.value.line


def test_columns_swapped_are_seen_where_only_that_brings_all_inside(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="swapped"):
        _read(tmp_path / "a.csv", HEADER + "250,150,50,40\n20,10,5,3\n")
    with pytest.raises(DataError) as caught:
        _read(tmp_path / "a.csv", HEADER + "250,150,50,90\n")
    assert "swapped" not in caught.value.mend


def test_a_missing_table_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        read_tie_points(tmp_path / "none.csv", SAR, OPTICAL)


def test_the_spread_is_none_on_a_line_and_one_on_a_square() -> None:
    assert spread_ratio(np.array([[0.0, 0], [1, 2], [3, 6]])) < 1e-12
    assert spread_ratio(np.array([[0.0, 0], [0, 1], [1, 0], [1, 1]])) == pytest.approx(1)
    assert spread_ratio(np.zeros((5, 2))) == 0
