from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from osm.data.scenes import read_scenes
from osm.data.verify import verify
from osm.errors import ConfigError, DataError


def _coco(names: list[str], boxes: dict[str, list[list[float]]]) -> dict[str, Any]:
    images = [{"id": n, "file_name": name, "width": 80, "height": 60} for n, name in enumerate(names, start=1)]
    annotations = [
        {"id": 10 * n + k, "image_id": n, "category_id": 1, "bbox": box, "iscrowd": 0, "segmentation": [[1, 2, 3, 4]]}
        for n, name in enumerate(names, start=1)
        for k, box in enumerate(boxes.get(name, []))
    ]
    return {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "ship"}]}


Edit = Callable[[str, Callable[[dict[str, Any]], None]], Path]


@pytest.fixture
def hrsid(tmp_path: Path) -> Path:
    """Three training images, of which the last shows no ship, and one test image."""
    root = tmp_path / "hrsid"
    (root / "HRSID_JPG" / "JPEGImages").mkdir(parents=True)
    (root / "HRSID_JPG" / "annotations").mkdir()
    drawing = np.random.default_rng(0)
    for name in ("P1.jpg", "P2.jpg", "P10.jpg", "P3.jpg"):
        grey = drawing.integers(0, 255, (60, 80), dtype=np.uint8)
        Image.fromarray(grey).convert("RGB").save(root / "HRSID_JPG" / "JPEGImages" / name)
    boxes = {"P1.jpg": [[5, 6, 15, 10]], "P2.jpg": [[0, 0, 80.4, 60], [1.5, 2, 3, 4.25]], "P3.jpg": [[7, 8, 9, 10]]}
    for part, names in (("train", ["P2.jpg", "P1.jpg", "P10.jpg"]), ("test", ["P3.jpg"])):
        path = root / "HRSID_JPG" / "annotations" / f"{part}2017.json"
        path.write_text(json.dumps(_coco(names, boxes)))
    return root


@pytest.fixture
def edit(hrsid: Path) -> Edit:
    def change(part: str, how: Callable[[dict[str, Any]], None]) -> Path:
        path = hrsid / "HRSID_JPG" / "annotations" / f"{part}2017.json"
        content = json.loads(path.read_text())
        how(content)
        path.write_text(json.dumps(content))
        return path

    return change


def _ids(*args: Any) -> list[str]:
    return [scene.scene_id for scene in read_scenes("hrsid", *args)]


def test_boxes_of_all_scenes(hrsid: Path) -> None:
    scenes = read_scenes("hrsid", hrsid)
    assert [scene.scene_id for scene in scenes] == ["P1", "P2", "P3", "P10"]
    np.testing.assert_array_equal(scenes[0].boxes, [[5, 6, 20, 16]])
    # what sticks out by rounding is cut
    np.testing.assert_allclose(scenes[1].boxes, [[0, 0, 80, 60], [1.5, 2, 4.5, 6.25]])
    assert scenes[3].boxes.shape == (0, 4)
    assert read_scenes("hrsid", hrsid / "HRSID_JPG")[2].image_path.name == "P3.jpg"


def test_parts_are_lists_by_name(hrsid: Path, edit: Edit) -> None:
    assert _ids(hrsid, "train") == ["P1", "P2", "P10"]
    assert _ids(hrsid, "test") == ["P3"]
    assert _ids(hrsid, "test", ["P1", "P3"]) == ["P1", "P3"]
    assert _ids(hrsid, "train", ["P1", "P3"]) == ["P2", "P10"]
    path = edit("train", lambda content: None)
    (path.parent / "inshore.json").write_text(path.read_text())
    assert _ids(hrsid, "inshore") == ["P1", "P2", "P10"]
    with pytest.raises(ConfigError, match="inshore or test or train"):
        _ids(hrsid, "val")
    with pytest.raises(ConfigError, match="nobody"):
        _ids(hrsid, "test", ["nobody"])


def test_crowds_are_ignored(hrsid: Path, edit: Edit) -> None:
    edit("test", lambda content: content["annotations"][0].update(iscrowd=1))
    (scene,) = read_scenes("hrsid", hrsid, "test")
    assert scene.ignore.tolist() == [True]


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("bbox", [1, 2, 3], r"annotations\[0\] with bbox = \[1, 2, 3\]; expected four numbers"),
        ("bbox", [1, 2, "3", 4], "four numbers"),
        ("bbox", [1, 2, True, 4], "four numbers"),
        ("bbox", [1, 2, float("nan"), 4], "four numbers"),
        ("bbox", [1, 2, 10**400, 4], "four numbers"),
        ("bbox", {"x": 1}, "four numbers"),
        ("bbox", [1, 2, 0, 4], "of no or negative extent"),
        ("bbox", [70, 2, 15, 4], "outside its scene"),
        ("image_id", "1", r"image_id = '1'; expected a whole number"),
        ("image_id", 77, "which is no image's"),
        ("iscrowd", "no", "0 or 1"),
    ],
)
def test_a_wrong_annotation_is_named(hrsid: Path, edit: Edit, key: str, value: Any, said: str) -> None:
    path = edit("test", lambda content: content["annotations"][0].update({key: value}))
    with pytest.raises(DataError, match=said) as caught:
        read_scenes("hrsid", hrsid, "test")
    assert caught.value.where == str(path)
    assert "\n" not in caught.value.line
    assert len(caught.value.line) < 500


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("file_name", "../P3.jpg", "without folder"),
        ("file_name", 3, "file_name = 3"),
        ("file_name", "P3.exe", "the name of a PNG"),
        ("width", "80", "whole numbers of pixels"),
        ("width", 10**30, "whole numbers of pixels"),
        ("id", None, "id = None"),
        ("width", 81, "a size of 81x60"),
        ("file_name", "P4.jpg", r"P4\.jpg: found no image|no label|no image"),
    ],
)
def test_a_wrong_image_is_named(hrsid: Path, edit: Edit, key: str, value: Any, said: str) -> None:
    edit("test", lambda content: content["images"][0].update({key: value}))
    with pytest.raises(DataError, match=said):
        read_scenes("hrsid", hrsid, "test")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "broken JSON"),
        ("[1, 2]", "a list at its top"),
        ('{"images": []}', "no annotations"),
        ('{"images": [], "annotations": {}}', "an object for annotations"),
        ('{"images": [3], "annotations": []}', r"images\[0\] with a number; expected an object"),
        ("[" * 100_000, "broken JSON"),
        ('{"images": ' + "9" * 10_000 + "}", "broken JSON"),
    ],
)
def test_what_is_no_coco_is_named(hrsid: Path, text: str, said: str) -> None:
    (hrsid / "HRSID_JPG" / "annotations" / "test2017.json").write_text(text)
    with pytest.raises(DataError, match=said):
        read_scenes("hrsid", hrsid, "test")


def test_a_file_of_gigabytes_is_not_parsed(hrsid: Path) -> None:
    path = hrsid / "HRSID_JPG" / "annotations" / "test2017.json"
    with path.open("wb") as stream:
        stream.truncate(3 * 2**30)  # sparse: takes no room
    with pytest.raises(DataError, match="3,072 MiB; expected at most 256 MiB"):
        read_scenes("hrsid", hrsid, "test")


def test_verify_counts_and_lists_everything(hrsid: Path, edit: Edit) -> None:
    report = verify("hrsid", hrsid)
    assert report.clean
    expected = {"scenes": 4, "ships": 4, "scenes without a ship": 1, "width in pixels": 80}
    assert report.counts.items() >= expected.items()
    assert report.counts["scenes of the split train"] == 3

    folder = hrsid / "HRSID_JPG" / "JPEGImages"
    (folder / "P9.jpg").write_bytes((folder / "P1.jpg").read_bytes())
    edit("test", lambda c: c["images"].append({"id": 5, "file_name": "P1.jpg", "width": 80, "height": 60}))
    edit("test", lambda c: c["annotations"].append({**c["annotations"][0], "id": 99}))
    edit("test", lambda c: c["annotations"].append(c["annotations"][0]))
    (folder / "P2.jpg").write_bytes((folder / "P2.jpg").read_bytes()[:700])
    lines = "\n".join(problem.line for problem in verify("hrsid", hrsid).problems)
    for words in (
        "P9.jpg: found an image that no list names",
        "P1.jpg, which train2017.json lists too",
        "1 scenes in train and in test (P1 first)",
        "more than once, of scene P3",
        "id 10 a second time",
        "P2.jpg: found a broken or truncated image",
    ):
        assert words in lines, words


def test_the_same_pixels_twice_are_listed(hrsid: Path) -> None:
    folder = hrsid / "HRSID_JPG" / "JPEGImages"
    (folder / "P10.jpg").write_bytes((folder / "P3.jpg").read_bytes())
    (problem,) = verify("hrsid", hrsid).problems
    assert problem.found == "the same pixels as scene P3"
    # within one part that is counted and no fault
    (folder / "P10.jpg").write_bytes((folder / "P1.jpg").read_bytes())
    report = verify("hrsid", hrsid)
    assert report.clean
    assert report.counts["copies of another scene"] == 1
