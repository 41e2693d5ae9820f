from __future__ import annotations

from pathlib import Path

import pytest

from osm.data.groups import count_groups, find_groups, read_groups
from osm.data.verify import verify
from osm.errors import ConfigError, DataError


def test_a_list_gives_each_scene_its_group(tmp_path: Path) -> None:
    path = tmp_path / "groups.csv"
    path.write_text("note,scene,group\nx,a,inshore\n,b,offshore\n,c,inshore\n,a,inshore\n")
    groups = read_groups(path, {"a", "b", "c", "d"})
    assert groups == {"a": "inshore", "b": "offshore", "c": "inshore"}
    assert count_groups(groups) == {"inshore": 2, "offshore": 1}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("scene,group\na,inshore\na,offshore\n", "line 3: a in offshore, and in inshore"),
        ("scene,group\n,inshore\n", "line 2 without scene"),
        ("scene,group\na\n", "line 2 without group"),
        ("scene,group\nz,inshore\n", "1 of no scene: z; expected ids such as a, b"),
        ("name,group\n", "the columns name, group"),
        ("", "an empty file"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "groups.csv"
    path.write_text(text)
    with pytest.raises(DataError, match=said):
        read_groups(path, {"a", "b"})


def test_a_missing_or_binary_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        read_groups(tmp_path / "none.csv", {"a"})
    (tmp_path / "image.csv").write_bytes(b"\xff\xd8\xff\xe0")
    with pytest.raises(DataError, match="no readable CSV"):
        read_groups(tmp_path / "image.csv", {"a"})


def test_ssdd_brings_its_groups(ssdd: Path) -> None:
    assert find_groups("ssdd", ssdd) == {}
    lists = ssdd / "ImageSets" / "Main"
    lists.mkdir(parents=True)
    (lists / "test_inshore.txt").write_text("000001\n")
    (lists / "test_offshore.txt").write_text("000019\n")
    assert find_groups("ssdd", ssdd) == {"000001": "inshore", "000019": "offshore"}
    assert verify("ssdd", ssdd).counts["scenes of the group inshore"] == 1
    (lists / "test_offshore.txt").write_text("000001\n")
    with pytest.raises(DataError, match="000001, which is inshore too"):
        find_groups("ssdd", ssdd)
    assert find_groups("air-sarship-1.0", ssdd) == {}
    (ssdd / "ImageSets/Main/inshore.txt").write_bytes(b"\xff\xfe000001")
    with pytest.raises(DataError, match=r"inshore\.txt: found no text"):
        find_groups("ssdd", ssdd)


def test_verify_checks_a_list(ssdd: Path, tmp_path: Path) -> None:
    path = tmp_path / "groups.csv"
    path.write_text("scene,group\n000001,calm\n000002,rough\n000777,rough\n")
    report = verify("ssdd", ssdd, groups=path)
    assert [report.counts[f"scenes of {name}"] for name in ("the group calm", "the group rough", "no group")] == [
        1,
        1,
        2,
    ]
    (problem,) = report.problems
    assert "000777" in problem.found
    with pytest.raises(ConfigError, match="groups of pairs"):
        verify("pairs", ssdd, groups=path)
