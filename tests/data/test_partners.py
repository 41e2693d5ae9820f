from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from osm.data.partners import ScenePair, check_alignment, find_partners
from osm.errors import DataError

Write = Callable[..., Path]


def _touch(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")
    return folder


def _keys(sar: object, optical: object) -> list[str]:
    pairs, problems = find_partners(str(sar), str(optical))
    assert not problems
    return [pair.key for pair in pairs]


def test_the_key_is_what_the_star_stands_for(tmp_path: Path) -> None:
    folder = _touch(tmp_path, "10_sar.tif", "10_opt.tif", "9_sar.tif", "9_opt.tif")
    pairs, problems = find_partners(f"{folder}/*_sar.tif", f"{folder}/*_opt.tif")
    assert problems == []
    assert pairs == [
        ScenePair("9", folder / "9_sar.tif", folder / "9_opt.tif"),
        ScenePair("10", folder / "10_sar.tif", folder / "10_opt.tif"),
    ]


def test_two_stars_join_and_other_wildcards_do_not_count(tmp_path: Path) -> None:
    _touch(tmp_path, "s1/p1/a_v1.tif", "s1/p2/a_v2.tif", "s2/p1-a.png", "s2/p2-a.png")
    assert _keys(f"{tmp_path}/s1/*/*_v[12].tif", f"{tmp_path}/s2/*-*.png") == ["p1-a", "p2-a"]


def test_double_star_is_any_folder(tmp_path: Path) -> None:
    _touch(tmp_path, "x/y/1_sar.tif", "2_sar.tif", "o/1.tif", "o/2.tif")
    assert _keys(f"{tmp_path}/**/*_sar.tif", f"{tmp_path}/o/*.tif") == ["1", "2"]


def test_a_suffix_is_no_part_of_the_key(tmp_path: Path) -> None:
    _touch(tmp_path, "1.x_s.tif", "1.x_o.png")
    assert _keys(f"{tmp_path}/*_s.*", f"{tmp_path}/*_o.*") == ["1.x"]


def test_signs_of_regular_expressions_in_a_path_are_only_letters(tmp_path: Path) -> None:
    _touch(tmp_path / "a+b (1)", "1_s.tif", "1_o.tif")
    assert _keys(f"{tmp_path}/a+b (1)/*_s.tif", f"{tmp_path}/a+b (1)/*_o.tif") == ["1"]


def test_folders_pair_by_stem_and_skip_what_is_no_image(tmp_path: Path) -> None:
    _touch(tmp_path, "s/1.tif", "s/2.TIFF", "s/notes.txt", "s/.1.tif", "o/1.png", "o/2.jpg")
    assert _keys(tmp_path / "s", tmp_path / "o") == ["1", "2"]


def test_one_file_is_the_partner_of_one_file(tmp_path: Path) -> None:
    _touch(tmp_path, "radar.tif", "photo.png")
    assert _keys(tmp_path / "radar.tif", tmp_path / "photo.png") == ["radar"]


def test_files_without_a_partner_are_listed(tmp_path: Path) -> None:
    _touch(tmp_path, "1_s.tif", "2_s.tif", "2_o.tif", "3_o.tif")
    pairs, problems = find_partners(f"{tmp_path}/*_s.tif", f"{tmp_path}/*_o.tif")
    assert [pair.key for pair in pairs] == ["2"]
    assert [problem.where for problem in problems] == [str(tmp_path / "1_s.tif"), str(tmp_path / "3_o.tif")]
    assert "no optical partner of key '1'" in problems[0].found
    assert "no SAR partner of key '3'" in problems[1].found
    assert "--skip-unpaired" in problems[0].mend


def test_nothing_to_find_is_an_error_that_names_the_option(tmp_path: Path) -> None:
    _touch(tmp_path, "1_s.tif")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"--optical .*: found no file"):
        find_partners(f"{tmp_path}/*_s.tif", f"{tmp_path}/*_o.tif")
    with pytest.raises(DataError, match=r"--sar .*: found an empty folder"):
        find_partners(str(tmp_path / "empty"), f"{tmp_path}/*_s.tif")


def test_a_key_may_not_come_twice(tmp_path: Path) -> None:
    _touch(tmp_path, "s/1.tif", "s/1.png", "o/1.png")
    with pytest.raises(DataError, match="a second time"):
        find_partners(str(tmp_path / "s"), str(tmp_path / "o"))


def test_aligned_scenes_pass(scene_pairs: Path) -> None:
    assert check_alignment(ScenePair("a", scene_pairs / "a_sar.tif", scene_pairs / "a_opt.tif")) == (100, 70)


def _error(sar: Path, optical: Path) -> DataError:
    with pytest.raises(DataError) as caught:
        check_alignment(ScenePair("a", sar, optical))
    assert caught.value.where == str(sar)
    assert str(optical) in caught.value.found
    return caught.value


def test_unequal_sizes_are_both_named(scene_pairs: Path, tmp_path: Path) -> None:
    Image.fromarray(np.zeros((70, 90), dtype=np.uint8)).save(tmp_path / "o.png")
    error = _error(scene_pairs / "a_sar.tif", tmp_path / "o.png")
    assert "100x70" in error.found
    assert "90x70" in error.found


def test_places_more_than_half_a_pixel_apart_are_an_error(tmp_path: Path, write_geotiff: Write) -> None:
    image = np.zeros((20, 30), dtype=np.uint8)
    sar = write_geotiff(tmp_path / "s.tif", image)
    near = write_geotiff(tmp_path / "near.tif", image, x_m=500_004.9)
    check_alignment(ScenePair("a", sar, near))
    far = write_geotiff(tmp_path / "far.tif", image, y_m=4_000_006)
    assert "0.6 pixels away" in _error(sar, far).found


def test_other_coordinate_systems_are_an_error(tmp_path: Path, write_geotiff: Write) -> None:
    image = np.zeros((20, 30), dtype=np.uint8)
    sar = write_geotiff(tmp_path / "s.tif", image)
    error = _error(sar, write_geotiff(tmp_path / "o.tif", image, epsg=32611))
    assert "EPSG:32610, but EPSG:32611" in error.found


def test_a_geotiff_and_a_plain_image_of_one_size_pass(tmp_path: Path, write_geotiff: Write) -> None:
    image = np.zeros((20, 30), dtype=np.uint8)
    Image.fromarray(image).save(tmp_path / "o.png")
    check_alignment(ScenePair("a", write_geotiff(tmp_path / "s.tif", image), tmp_path / "o.png"))
