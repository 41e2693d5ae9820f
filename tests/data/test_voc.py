from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from osm.data.voc import parse_voc
from osm.errors import DataError


def test_coordinates_are_taken_as_they_are_written(tmp_path: Path, write_voc: Callable[..., Path]) -> None:
    path = write_voc(tmp_path / "a.xml", 60, 40, [(1, 2, 30, 40), ("5.5", "6", "7.25", "8")], [0, 1])
    label = parse_voc(path)
    np.testing.assert_array_equal(label.boxes, [[1, 2, 30, 40], [5.5, 6, 7.25, 8]])
    assert label.boxes.dtype == np.float32
    np.testing.assert_array_equal(label.ignore, [False, True])
    assert (label.width_px, label.height_px) == (60, 40)


@pytest.mark.parametrize("size", [(None, None), (0, 0)])
def test_a_size_that_is_not_stated_is_none(
    tmp_path: Path, write_voc: Callable[..., Path], size: tuple[int | None, int | None]
) -> None:
    label = parse_voc(write_voc(tmp_path / "a.xml", *size, [(1, 2, 3, 4)]))
    assert label.width_px is None
    assert label.height_px is None


def _error(path: Path) -> DataError:
    with pytest.raises(DataError) as caught:
        parse_voc(path)
    assert caught.value.where == str(path)
    assert "\n" not in caught.value.line
    return caught.value


def test_an_xml_without_boxes_is_an_error(tmp_path: Path, write_voc: Callable[..., Path]) -> None:
    error = _error(write_voc(tmp_path / "a.xml", 60, 40, []))
    assert "without boxes" in error.found
    assert "move this scene out" in error.mend


@pytest.mark.parametrize("corner", ["", "abc", "nan", "inf"])
def test_a_corner_that_is_no_number_is_an_error(tmp_path: Path, write_voc: Callable[..., Path], corner: str) -> None:
    error = _error(write_voc(tmp_path / "a.xml", 60, 40, [(1, 2, 3, 4), (1, 2, corner, 4)]))
    assert "object 2" in error.found


@pytest.mark.parametrize("text", ["", "<annotation><object>", "no xml", "\0\0"])
def test_broken_xml_is_an_error(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.xml"
    path.write_text(text)
    assert "broken XML" in _error(path).found


def test_an_unknown_encoding_and_a_missing_file_are_errors(tmp_path: Path) -> None:
    path = tmp_path / "a.xml"
    path.write_bytes(b'<?xml version="1.0" encoding="klingon"?><annotation/>')
    _error(path)
    assert "no such file" in _error(tmp_path / "none.xml").found


LAUGHS = (
    '<?xml version="1.0"?><!DOCTYPE l [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">'
    '<!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;">]><annotation><object>&c;</object></annotation>'
)
OUTSIDE = '<!DOCTYPE l [<!ENTITY a SYSTEM "file:///etc/hostname">]><annotation><object>&a;</object></annotation>'


@pytest.mark.parametrize("text", [LAUGHS, OUTSIDE])
def test_hostile_xml_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.xml"
    path.write_text(text)
    assert "entity declarations" in _error(path).found
