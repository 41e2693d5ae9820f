from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from osm.data.scenes import read_scenes
from osm.errors import ConfigError, DataError


def _ids(*args: object) -> list[str]:
    return [scene.scene_id for scene in read_scenes("ssdd", *args)]  # type: ignore[arg-type]


def test_all_scenes_with_their_boxes(ssdd: Path) -> None:
    scenes = read_scenes("ssdd", ssdd)
    assert [scene.scene_id for scene in scenes] == ["000001", "000002", "000010", "000019"]
    assert (scenes[1].width_px, scenes[1].height_px) == (60, 40)
    np.testing.assert_array_equal(scenes[1].boxes, [[5, 6, 20, 16], [0, 0, 60, 40]])
    np.testing.assert_array_equal(scenes[1].ignore, [False, True])


def test_the_folder_above_will_do(ssdd: Path, tmp_path: Path) -> None:
    (tmp_path / "above" / "BBox_SSDD").mkdir(parents=True)
    ssdd.rename(tmp_path / "above" / "BBox_SSDD" / "voc_style")
    assert len(_ids(tmp_path / "above")) == 4
    assert len(_ids(tmp_path / "above" / "BBox_SSDD")) == 4


def test_the_official_split_is_by_the_last_digit(ssdd: Path) -> None:
    assert _ids(ssdd, "test") == ["000001", "000019"]
    assert _ids(ssdd, "train") == ["000002", "000010"]


def test_lists_decide_where_there_are_lists(ssdd: Path) -> None:
    lists = ssdd / "ImageSets" / "Main"
    lists.mkdir(parents=True)
    (lists / "test.txt").write_text("000010\n000002 1\n\n000010\n")
    assert _ids(ssdd, "test") == ["000002", "000010"]
    (lists / "few.txt").write_text("000019\n")
    assert _ids(ssdd, "few") == ["000019"]
    assert _ids(ssdd, "test", ["000001"]) == ["000001"]


def test_a_list_may_not_name_what_is_not_there(ssdd: Path) -> None:
    (ssdd / "ImageSets" / "Main").mkdir(parents=True)
    (ssdd / "ImageSets" / "Main" / "val.txt").write_text("000010\n000777\n")
    with pytest.raises(DataError, match="no scene '000777'"):
        _ids(ssdd, "val")


def test_unknown_splits_and_ids_are_named(ssdd: Path) -> None:
    with pytest.raises(ConfigError, match="test or train"):
        _ids(ssdd, "val")
    with pytest.raises(ConfigError, match="nobody"):
        _ids(ssdd, "test", ["000001", "nobody"])


@pytest.mark.parametrize(
    ("folder", "name", "found"), [("Annotations", "000010.xml", "no label"), ("JPEGImages", "000010.jpg", "no image")]
)
def test_a_missing_partner_is_named(ssdd: Path, folder: str, name: str, found: str) -> None:
    (ssdd / folder / name).unlink()
    with pytest.raises(DataError) as caught:
        _ids(ssdd)
    assert caught.value.where == str(ssdd / folder / name)
    assert caught.value.found == found
    assert "add the missing file" in caught.value.mend


def test_two_images_of_one_name_are_an_error(ssdd: Path) -> None:
    Image.fromarray(np.zeros((40, 60), dtype=np.uint8)).save(ssdd / "JPEGImages" / "000010.png")
    with pytest.raises(DataError, match="second file for 000010"):
        _ids(ssdd)


def test_empty_folders_are_errors(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"found an empty folder; expected JPEGImages"):
        _ids(tmp_path)
    (tmp_path / "JPEGImages").mkdir()
    (tmp_path / "Annotations").mkdir()
    with pytest.raises(DataError, match="no images and no labels"):
        _ids(tmp_path)


def test_real_ssdd(shared_data: Path) -> None:
    scenes = read_scenes("ssdd", shared_data / "ssdd-train", "val")
    assert len(scenes) == 116
    assert scenes[0].scene_id == "000002"
    np.testing.assert_array_equal(scenes[0].boxes, [[211, 152, 261, 167]])
    train = read_scenes("ssdd", shared_data / "ssdd-train", "train")
    assert len(train) == 812
    assert sum(len(scene.boxes) for scene in scenes + train) == 2041
    with pytest.raises(DataError, match="lists there: train, val"):
        read_scenes("ssdd", shared_data / "ssdd-train", "test")
