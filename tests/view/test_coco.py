"""COCO's JSON of ships found and of truth."""

from __future__ import annotations

import contextlib
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from osm.errors import DataError
from osm.view.coco import read_coco, scene_name
from tests.view.made import FOUND_A, SCORES_A, SHIPS, coco


def written(tmp_path, content, name="a.coco.json"):
    path = tmp_path / name
    path.write_text(json.dumps(content))
    return path


def test_boxes_with_a_score_are_found_and_those_without_are_truth(tmp_path):
    content = coco("scenes/harbour.tif", FOUND_A, SCORES_A[[1, 0, 2]], radiometry="percentile:1,99")
    more = coco("", SHIPS)["annotations"]
    more[1]["iscrowd"] = 1
    content["annotations"] += more
    (scene,) = read_coco(written(tmp_path, content))
    assert (scene.scene_id, scene.image_path, scene.radiometry) == ("a", "scenes/harbour.tif", "percentile:1,99")
    # by falling score
    np.testing.assert_array_equal(scene.scores, SCORES_A)
    np.testing.assert_allclose(scene.boxes, FOUND_A[[1, 0, 2]])
    np.testing.assert_allclose(scene.truth, SHIPS)
    assert scene.ignore.tolist() == [False, True, False]


def test_of_several_images_each_goes_by_its_own_name(tmp_path):
    content = coco("x/one.tif", SHIPS)
    content["images"].append({"id": 7, "file_name": "x/two.tif", "width": 5, "height": 6})
    assert [scene.scene_id for scene in read_coco(written(tmp_path, content))] == ["one", "two"]
    # or by its whole name, where two scenes share the last part of it
    content["images"].append({"id": 8, "file_name": "y/two.tif", "width": 5, "height": 6, "radiometry": "max"})
    scenes = read_coco(written(tmp_path, content))
    assert [scene.scene_id for scene in scenes] == ["one", "x/two.tif", "y/two.tif"]
    assert [scene.radiometry for scene in scenes] == ["none", "none", "max"]


def test_names_of_scenes():
    names = {"a/b.c.tif": "b.c", "C:\\d\\e.tif": "e", "plain": "plain", "..": ".."}
    assert {path: scene_name(path) for path in names} == names


BROKEN = {
    "no lists": lambda c: c.pop("images"),
    "bbox": lambda c: c["annotations"][0].update(bbox=[1, 2, 3]),
    "a text as number": lambda c: c["annotations"][0].update(score="0.5"),
    "not finite": lambda c: c["annotations"][0].update(bbox=[1, 2, 3, float("nan")]),
    "huge": lambda c: c["annotations"][0].update(bbox=[1, 2, 3, 10**400]),
    "unknown image": lambda c: c["annotations"][0].update(image_id=9),
    "image of a list": lambda c: c["images"].append([1]),
    "unhashable id": lambda c: c["images"][0].update(id=[1]),
    "width": lambda c: c["images"][0].update(width=-4),
    "half a letter": lambda c: c["images"][0].update(file_name="\ud800"),
    "no name": lambda c: c["images"][0].update(file_name=5),
    "twice": lambda c: c["images"].append(dict(c["images"][0])),
    "one name twice": lambda c: c["images"].append(c["images"][0] | {"id": 2}),
    "annotation of a number": lambda c: c["annotations"].append(3),
}


@pytest.mark.parametrize("how", BROKEN)
def test_what_is_broken_is_named(tmp_path, how):
    content = coco("one.tif", FOUND_A, SCORES_A)
    BROKEN[how](content)
    with pytest.raises(DataError, match=r"a\.coco\.json"):
        read_coco(written(tmp_path, content))


numbers = st.one_of(st.integers(), st.floats(), st.booleans(), st.none(), st.text(max_size=3))
values = st.recursive(numbers, lambda inner: st.lists(inner, max_size=4), max_leaves=6)
images = st.fixed_dictionaries({}, optional=dict.fromkeys(("id", "file_name", "width", "height"), values))
boxes = st.fixed_dictionaries({}, optional=dict.fromkeys(("image_id", "bbox", "score", "iscrowd"), values))


@settings(deadline=None)
@given(images, boxes, st.booleans())
def test_whatever_is_in_it_it_is_read_or_named(tmp_path_factory, image, box, whole):
    # half of the time the image is sound, so that the annotation is looked at
    image = image | {"id": 1, "file_name": "a.tif", "width": 5, "height": 5} if whole else image
    content = {"images": [image], "annotations": [box | {"image_id": 1} if whole else box]}
    path = tmp_path_factory.mktemp("coco") / "a.json"
    path.write_text(json.dumps(content))
    with contextlib.suppress(DataError):
        assert all(np.isfinite(scene.boxes).all() for scene in read_coco(path))
