from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from osm.data.dota import parse_label_txt
from osm.data.scenes import read_scenes
from osm.data.verify import verify
from osm.errors import ConfigError, DataError

HEAD = "imagesource:GoogleEarth\ngsd:0.5\n"
SHIP = "10.0 5.0 20.0 8.0 18.0 14.0 8.0 11.0 ship 0\n"
CAR = "1 1 2 1 2 2 1 2 small-vehicle 1\n"


@pytest.fixture
def dota(tmp_path: Path) -> Path:
    root = tmp_path / "dota"
    drawing = np.random.default_rng(0)
    for part, names in (("train", ("P0001", "P0002")), ("val", ("P0003",))):
        for folder in ("images", "labelTxt-v1.0/labelTxt"):
            (root / part / folder).mkdir(parents=True)
        for name in names:
            size = (40, 60 + int(name[-1]), 3)
            Image.fromarray(drawing.integers(0, 255, size, dtype=np.uint8)).save(root / part / "images" / f"{name}.png")
            (root / part / "labelTxt-v1.0" / "labelTxt" / f"{name}.txt").write_text(HEAD + SHIP + CAR)
    return root


def _label(root: Path) -> Path:
    return root / "val" / "labelTxt-v1.0" / "labelTxt" / "P0003.txt"


def _ids(*args: Any) -> list[str]:
    return [scene.scene_id for scene in read_scenes("dota", *args)]


def test_ships_are_the_upright_boxes_around_their_corners(dota: Path) -> None:
    _label(dota).write_text(HEAD + SHIP + CAR + "50 -5 70 -5 70 10 50 10 ship 1\n5 5 9 5 9 9 5 9 ship\n")
    (scene,) = read_scenes("dota", dota, "val")
    np.testing.assert_array_equal(scene.boxes, [[8, 5, 20, 14], [50, 0, 63, 10], [5, 5, 9, 9]])
    assert scene.ignore.tolist() == [False, True, False]
    assert scene.pixel_m == 0.5
    assert scene.optical


def test_images_without_ships_are_scenes(dota: Path) -> None:
    _label(dota).write_text("imagesource:GoogleEarth\ngsd:null\n" + CAR)
    (scene,) = read_scenes("dota", dota, "val")
    assert (len(scene.boxes), scene.pixel_m) == (0, None)
    assert verify("dota", dota).counts["scenes without a ship"] == 1
    _label(dota).write_text("")
    assert _ids(dota, "val") == ["P0003"]


def test_parts_are_folders_or_lists(dota: Path) -> None:
    assert _ids(dota) == ["P0001", "P0002", "P0003"]
    assert _ids(dota, "train") == ["P0001", "P0002"]
    assert _ids(dota, "test", ["P0002"]) == ["P0002"]
    with pytest.raises(ConfigError, match="train or val"):
        _ids(dota, "test")
    with pytest.raises(ConfigError, match="no official split"):
        _ids(dota / "train", "test")
    (dota / "train" / "few.txt").write_text("P0001\n")
    assert _ids(dota / "train", "few") == ["P0001"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (HEAD + "1 2 3 4 5 6 7 ship 0", "line 3: 1 2 3 4 5 6 7 ship 0; expected x1 y1"),
        (SHIP.replace("ship 0", "ship often"), "line 1"),
        (SHIP.replace("10.0", "nan"), "line 1"),
        # cut short anywhere
        (SHIP + SHIP[:29], "line 2: 10.0 5.0 20.0 8.0 18.0 14.0 8; expected x1 y1"),
        (
            HEAD + SHIP + SHIP[:-4],
            r"line 4: a category 'shi'; expected one of DOTA's 18; write 'ship' if that is meant",
        ),
        (SHIP.replace("ship", "boat-or-so"), "line 1: a category 'boat-or-so'; .* correct or remove this line"),
        (SHIP.replace("ship 0", "ship 3"), "line 1"),
        (SHIP.replace("ship 0", "ship -1"), "line 1"),
        (SHIP.replace("ship 0", "large vehicle 0"), "line 1"),
        # two labels in one file, and a head that is none
        (HEAD + SHIP + HEAD + SHIP, "line 4: imagesource:GoogleEarth after 1 objects"),
        ("imagesource GoogleEarth\n" + SHIP, "line 1: imagesource GoogleEarth"),
        ("gsd:-3\n", "gsd '-3'"),
        ("gsd:far\n", "metres a pixel"),
        ("99 1 120 1 120 9 99 9 ship 0\n", "of no or negative extent"),
    ],
)
def test_a_wrong_line_is_named(dota: Path, text: str, said: str) -> None:
    _label(dota).write_text(text)
    with pytest.raises(DataError, match=said) as caught:
        read_scenes("dota", dota)
    assert caught.value.where == str(_label(dota))


def test_a_label_that_is_no_text_is_named(dota: Path) -> None:
    _label(dota).write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match="no text"):
        read_scenes("dota", dota)
    with pytest.raises(DataError, match="unreadable"):
        parse_label_txt(dota)


def test_two_versions_of_the_labels_are_ambiguous(dota: Path) -> None:
    (dota / "val" / "labelTxt-v1.5").mkdir()
    with pytest.raises(DataError, match=r"2 versions of the labels: labelTxt-v1\.0, labelTxt-v1\.5"):
        read_scenes("dota", dota)


def test_heads_may_be_incomplete_and_categories_in_capitals(dota: Path) -> None:
    for head in ("", "gsd:null\n", "imagesource:GoogleEarth\ngsd:\n", "Acquisition Dates: 2016-05-04\r\nGSD:None\r\n"):
        _label(dota).write_text(head + SHIP.replace("ship", "Ship") + "\n" + CAR)
        (scene,) = read_scenes("dota", dota, "val")
        assert (len(scene.boxes), scene.pixel_m) == (1, None)


def test_verify_names_every_odd_label_at_once(dota: Path) -> None:
    _label(dota).write_text(HEAD + SHIP[:-4])
    (dota / "train" / "labelTxt-v1.0" / "labelTxt" / "P0001.txt").write_text(HEAD + SHIP[:20])
    (dota / "train" / "labelTxt-v1.0" / "labelTxt" / "P0002.txt").write_text(SHIP + HEAD)
    lines = "\n".join(problem.line for problem in verify("dota", dota).problems)
    for words in ("P0003.txt: found line 3: a category 'shi'", "P0001.txt: found line 3: 10.0 5.0", "P0002.txt: found"):
        assert words in lines


def test_verify_lists_everything(dota: Path) -> None:
    clean = verify("dota", dota)
    assert clean.clean, clean.problems
    assert (clean.counts["ships"], clean.counts["most width in pixels"]) == (3, 63)
    assert clean.counts["scenes of the split val"] == 1
    _label(dota).unlink()
    image = dota / "train" / "images" / "P0001.png"
    image.write_bytes(image.read_bytes()[:500])
    Image.fromarray(np.zeros((40, 62), dtype=np.uint8)).save(dota / "val" / "images" / "P0002.png")
    (_label(dota).parent / "P0002.txt").write_text(HEAD + SHIP)
    lines = "\n".join(problem.line for problem in verify("dota", dota).problems)
    for words in ("no label for scene P0003", "P0001.png: found a broken", "scene P0002 a second time"):
        assert words in lines
