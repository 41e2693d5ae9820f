from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from osm.data.scenes import read_scenes
from osm.errors import ConfigError, DataError

KIND = "air-sarship-1.0"
Write = Callable[..., Path]


@pytest.mark.parametrize("form", ["apart", "together", "mbrect"])
def test_every_folder_form_gives_the_same_scenes(write_airsarship: Write, form: str) -> None:
    scenes = read_scenes(KIND, write_airsarship(form, [10, 9, 1]))
    assert [scene.scene_id for scene in scenes] == ["1", "9", "10"]
    for scene in scenes:
        assert (scene.width_px, scene.height_px) == (50, 30)
        np.testing.assert_array_equal(scene.boxes, [[8, 5, 20, 14]])
        assert scene.image_path.is_file()
        assert not scene.ignore.any()


def test_the_data_set_may_lie_a_folder_deeper(write_airsarship: Write, tmp_path: Path) -> None:
    root = write_airsarship("apart", [1, 2])
    assert len(read_scenes(KIND, root.parent)) == 2
    assert tmp_path == root.parent


def test_sixteen_bits_come_before_png_and_boxes_before_quadrangles(write_airsarship: Write) -> None:
    root = write_airsarship("together", [3])
    folder = root / "SARShip-1.0-3"
    Image.fromarray(np.zeros((30, 50), dtype=np.uint8)).save(folder / "SARShip-1.0-3.png")
    (folder / "SARShip-1.0-3.mbrect").write_text("0 0 1 0 1 1 0 1")
    (scene,) = read_scenes(KIND, root)
    assert scene.image_path.suffix == ".tiff"
    np.testing.assert_array_equal(scene.boxes, [[8, 5, 20, 14]])


def test_the_split_of_the_paper(write_airsarship: Write) -> None:
    root = write_airsarship("apart", range(1, 32), 40, 30)
    test = [scene.scene_id for scene in read_scenes(KIND, root, "test")]
    train = [scene.scene_id for scene in read_scenes(KIND, root, "train")]
    assert test == ["5", "6", "8", "10", "12", "22", "24", "29", "30", "31"]
    assert len(train) == 21
    assert not set(train) & set(test)


def test_test_ids_replace_the_split_of_the_paper(write_airsarship: Write) -> None:
    root = write_airsarship("apart", [1, 2, 3, 5])
    assert [scene.scene_id for scene in read_scenes(KIND, root, "test", ["3"])] == ["3"]
    assert [scene.scene_id for scene in read_scenes(KIND, root, "train", ["3"])] == ["1", "2", "5"]
    with pytest.raises(ConfigError, match="33"):
        read_scenes(KIND, root, "train", ["33"])


def test_an_unknown_split_and_an_empty_one_are_named(write_airsarship: Write) -> None:
    root = write_airsarship("apart", [1, 2])
    with pytest.raises(ConfigError, match="train or test"):
        read_scenes(KIND, root, "val")
    with pytest.raises(DataError, match="no scene in split 'test' among 1, 2"):
        read_scenes(KIND, root, "test")


def test_sizes_come_from_the_image_and_not_from_a_constant(write_airsarship: Write, write_voc: Write) -> None:
    root = write_airsarship("apart", [13], width_px=4100, height_px=30)
    write_voc(root / "AIR-SARShip-1.0-xml" / "SARShip-1.0-13-label.xml", 4100, 30, [(4000, 5, 4059, 14)])
    (scene,) = read_scenes(KIND, root)
    assert scene.width_px == 4100
    assert scene.boxes[0, 2] == 4059


def test_a_quadrangle_at_the_border_is_cut_to_the_image(write_airsarship: Write) -> None:
    root = write_airsarship("mbrect", [1])
    label = root / "labels" / "SARShip-1.0-1.mbrect"
    label.write_text("-4 5 20 8 18 34 8 11\n")
    np.testing.assert_array_equal(read_scenes(KIND, root)[0].boxes, [[0, 5, 20, 30]])
    label.write_text("60 5 70 8 68 14 58 11\n")
    with pytest.raises(DataError, match="no or negative extent"):
        read_scenes(KIND, root)


def _error(root: Path) -> DataError:
    with pytest.raises(DataError) as caught:
        read_scenes(KIND, root)
    assert "\n" not in caught.value.line
    return caught.value


def test_a_missing_label_or_image_names_the_lone_file(write_airsarship: Write) -> None:
    root = write_airsarship("apart", [1, 2])
    label = root / "AIR-SARShip-1.0-xml" / "SARShip-1.0-2-label.xml"
    label.rename(root / "kept")
    assert _error(root).where.endswith("SARShip-1.0-2.tiff")
    (root / "kept").rename(label)
    (root / "AIR-SARShip-1.0-data" / "SARShip-1.0-1.tiff").unlink()
    error = _error(root)
    assert error.where.endswith("SARShip-1.0-1-label.xml")
    assert "no image for scene 1" in error.found


def test_two_copies_of_a_scene_are_an_error(write_airsarship: Write) -> None:
    root = write_airsarship("together", [1])
    shutil.copytree(root / "SARShip-1.0-1", root / "copy")
    assert "a second time" in _error(root).found


def test_an_empty_folder_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    error = _error(tmp_path / "empty")
    assert error.where == str(tmp_path / "empty")
    assert "empty folder" in error.found
    (tmp_path / "empty" / "readme.txt").write_text("hello")
    assert "no scene of AIR-SARShip-1.0" in _error(tmp_path / "empty").found


def test_files_of_other_software_are_passed_over(write_airsarship: Write) -> None:
    root = write_airsarship("apart", [1])
    (root / "AIR-SARShip-1.0-data" / "._SARShip-1.0-1.tiff").write_bytes(b"resource fork")
    (root / "AIR-SARShip-1.0-data" / "SARShip-1.0-1.tiff.aux.xml").write_text("<PAMDataset/>")
    assert len(read_scenes(KIND, root)) == 1


def test_only_headers_are_read(write_airsarship: Write) -> None:
    root = write_airsarship("apart", [1])
    path = root / "AIR-SARShip-1.0-data" / "SARShip-1.0-1.tiff"
    whole = tifffile.imread(path)
    path.write_bytes(path.read_bytes()[: -whole.nbytes // 2])
    assert len(read_scenes(KIND, root)) == 1
