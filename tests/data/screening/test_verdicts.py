from __future__ import annotations

from pathlib import Path

import pytest

from osm.data.screening.scores import Scores
from osm.data.screening.verdicts import Verdict, check_known, patch_name, read_verdicts, write_verdicts
from osm.errors import DataError


def test_a_table_comes_back_and_may_be_edited(tmp_path: Path) -> None:
    scores = Scores(0.01, 0.2, 3.0, 0.0, "")
    name = patch_name("port, east", 256, 0)
    written = [
        Verdict(name, "port, east", 256, 0, "", "", scores, "1.png"),
        Verdict(patch_name("b", 0, 0), "b", 0, 0, "seam line", "", scores),
    ]
    path = tmp_path / "screening.csv"
    write_verdicts(path, written)
    assert read_verdicts(path) == {name: True, "b_r0_c0": False}
    path.write_text(path.read_text().replace(",drop,", ", KEEP ,").replace("\n", "\r\n"))
    assert read_verdicts(path) == {name: True, "b_r0_c0": True}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("name,verdict\na,maybe\n", "line 2: found the verdict 'maybe'"),
        ("name,verdict\na,keep\na,drop\n", "line 3: found 'a' a second time"),
        ("name\na\n", "no column verdict"),
        ("name,verdict\na\n", "1 cells"),
    ],
)
def test_a_spoilt_table_is_named_with_its_line(tmp_path: Path, text: str, found: str) -> None:
    path = tmp_path / "screening.csv"
    path.write_text(text)
    with pytest.raises(DataError) as caught:
        read_verdicts(path)
    assert found in caught.value.line


def test_unknown_names_are_an_error(tmp_path: Path) -> None:
    check_known(tmp_path / "a.csv", {"a"}, {"a", "b"})
    with pytest.raises(DataError, match=r"'c' \(and 1 more\), which no patch"):
        check_known(tmp_path / "a.csv", {"a", "c", "d"}, {"a", "b"})
