from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from osm.data.scenes import read_scenes
from osm.data.verify import verify
from osm.errors import ConfigError, DataError

BOX = "5.0,6.0 20.0,6.0 20.0,16.0 5.0,16.0 5.0,6.0"


def _xml(*objects: str) -> str:
    inner = "".join(
        "<object><possibleresult><name>ship</name></possibleresult><points>"
        + "".join(f"<point>{point.replace(',', ', ')}</point>" for point in points.split())
        + "</points></object>"
        for points in objects
    )
    return f"<annotation><source><filename>1.tiff</filename></source><objects>{inner}</objects></annotation>"


@pytest.fixture
def air2(tmp_path: Path) -> Path:
    root = tmp_path / "air2"
    for folder in ("AIR-SARShip-2.0-data", "AIR-SARShip-2.0-xml"):
        (root / folder).mkdir(parents=True)
    for number in (1, 2, 10):
        image = np.full((40, 60), 1000 + number, dtype=np.uint16)
        tifffile.imwrite(root / "AIR-SARShip-2.0-data" / f"{number}.tiff", image)
        (root / "AIR-SARShip-2.0-xml" / f"{number}.xml").write_text(_xml(BOX))
    return root


def _label(root: Path, number: int = 10) -> Path:
    return root / "AIR-SARShip-2.0-xml" / f"{number}.xml"


def _ids(*args: Any) -> list[str]:
    return [scene.scene_id for scene in read_scenes("air-sarship-2.0", *args)]


def test_boxes_are_the_extent_of_the_points(air2: Path) -> None:
    _label(air2).write_text(_xml("20,16 5,16 5,6 20,6", "30,10 40,5 45,15 35,20", "0,0 60.5,40"))
    scenes = read_scenes("air-sarship-2.0", air2)
    assert [scene.scene_id for scene in scenes] == ["1", "2", "10"]
    np.testing.assert_array_equal(scenes[2].boxes, [[5, 6, 20, 16], [30, 5, 45, 20], [0, 0, 60, 40]])


def test_there_is_no_split_but_one_that_is_given(air2: Path) -> None:
    with pytest.raises(ConfigError, match=r"no test\.txt and no test ids.*no official split"):
        _ids(air2, "test")
    assert _ids(air2, "test", ["10"]) == ["10"]
    assert _ids(air2, "train", ["10"]) == ["1", "2"]
    (air2 / "test.txt").write_text("2.tiff\n\n1\n")
    assert _ids(air2, "test") == ["1", "2"]
    assert verify("air-sarship-2.0", air2).counts["scenes of the split test"] == 2
    (air2 / "test.txt").write_text("2\n77\n")
    with pytest.raises(ConfigError, match="1 without a scene: 77"):
        _ids(air2, "test")
    assert "77" in verify("air-sarship-2.0", air2).problems[0].line
    with pytest.raises(ConfigError, match="1 without a scene: 78"):
        _ids(air2, "test", ["78"])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (_xml(), "without boxes"),
        ("<annotation><object><bndbox/></object></annotation>", "a VOC label"),
        (_xml("5,6"), "object 1 with the points 5, 6; expected at least two corners"),
        (_xml(BOX, "5,6,7 8,9,10"), "object 2 with the points"),
        (_xml("5,6 a,b"), "object 1"),
        (_xml("5,6 nan,9"), "object 1"),
        (_xml("5,6 5,16"), "of no or negative extent"),
        (_xml("5,6 62,16"), "outside its scene"),
        ("<annotation>", "broken XML"),
        ('<!DOCTYPE a [<!ENTITY b "c">]><annotation>&b;</annotation>', "entity declarations"),
    ],
)
def test_a_wrong_label_is_named(air2: Path, text: str, said: str) -> None:
    _label(air2).write_text(text)
    with pytest.raises(DataError, match=said) as caught:
        read_scenes("air-sarship-2.0", air2)
    assert caught.value.where == str(_label(air2))


def test_verify_lists_everything(air2: Path) -> None:
    clean = verify("air-sarship-2.0", air2)
    assert clean.clean
    assert (clean.counts["scenes"], clean.counts["ships"], clean.counts["height in pixels"]) == (3, 3, 40)
    (air2 / "AIR-SARShip-2.0-data" / "3.tiff").write_bytes(b"")
    _label(air2, 2).unlink()
    data = air2 / "AIR-SARShip-2.0-data"
    (data / "10.tiff").write_bytes((data / "1.tiff").read_bytes())
    lines = "\n".join(problem.line for problem in verify("air-sarship-2.0", air2).problems)
    for words in ("no label for scene 2", "no label for scene 3", "10.tiff: found the same pixels as scene 1"):
        assert words in lines
