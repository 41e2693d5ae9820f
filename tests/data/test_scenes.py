from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from osm.data.scenes import find_scenes, load_scene, natural_key, read_scenes
from osm.errors import ConfigError, DataError


def test_an_unknown_kind_and_a_missing_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"air-sarship-1\.0 or .* or ssdd or"):
        read_scenes("sssd", tmp_path)
    with pytest.raises(DataError, match="none: found no such folder"):
        read_scenes("ssdd", tmp_path / "none")


@pytest.mark.parametrize(
    ("boxes", "found"),
    [
        ([(5, 6, 20, 16), (5, 6, 61, 16)], "box 2 at (5, 6, 61, 16) outside its scene"),
        ([(-1, 6, 20, 16)], "box 1 at (-1, 6, 20, 16) outside its scene"),
        ([(5, 6, 20, 40.5)], "outside its scene"),
        ([(20, 6, 5, 16)], "of no or negative extent"),
        ([(5, 6, 20, 6)], "of no or negative extent"),
    ],
)
def test_a_box_that_cannot_be_is_one_error_that_names_the_label(
    ssdd: Path, write_voc: Callable[..., Path], boxes: list[tuple[float, ...]], found: str
) -> None:
    path = write_voc(ssdd / "Annotations" / "000010.xml", 60, 40, boxes)
    with pytest.raises(DataError) as caught:
        read_scenes("ssdd", ssdd)
    assert caught.value.where == str(path)
    assert found in caught.value.found
    assert "correct or remove this box" in caught.value.mend
    assert "\n" not in caught.value.line


def test_a_box_may_touch_the_border(ssdd: Path, write_voc: Callable[..., Path]) -> None:
    write_voc(ssdd / "Annotations" / "000010.xml", 60, 40, [(0, 0, 60, 40)])
    assert len(read_scenes("ssdd", ssdd)) == 4


def test_a_stated_size_must_be_that_of_the_image(ssdd: Path, write_voc: Callable[..., Path]) -> None:
    path = write_voc(ssdd / "Annotations" / "000010.xml", 40, 60, [(5, 6, 20, 16)])
    with pytest.raises(DataError) as caught:
        read_scenes("ssdd", ssdd)
    assert caught.value.where == str(path)
    assert "40x60" in caught.value.found
    assert "60x40" in caught.value.expected
    write_voc(path, None, None, [(5, 6, 20, 16)])
    assert len(read_scenes("ssdd", ssdd)) == 4


def test_a_collecting_report_gets_everything_that_is_wrong_with_a_scene(
    ssdd: Path, write_voc: Callable[..., Path]
) -> None:
    write_voc(ssdd / "Annotations" / "000010.xml", 40, 60, [(5, 6, 20, 46), (9, 9, 9, 9)])
    (ssdd / "JPEGImages" / "000010.jpg").unlink()
    Image.new("L", (30, 30)).save(ssdd / "JPEGImages" / "000010.jpg")
    problems: list[DataError] = []
    files = find_scenes("ssdd", ssdd, report=problems.append)
    scenes = [load_scene(entry, problems.append) for entry in files]
    assert [scene is None for scene in scenes] == [False, False, True, False]
    assert len(problems) == 3


def test_names_sort_as_people_count() -> None:
    names = ["1.png", "2.png", "10.png", "a", "a1", "a2", "a10", "B", "c"]
    shuffled = names.copy()
    random.Random(0).shuffle(shuffled)
    assert sorted(shuffled, key=natural_key) == names
